// How Allure 3 draws report.html: one file, the scenario's variant first, then the source of the behaviour.
// Used by harness/report/allure_html.py: allure generate --config allurerc.mjs … reports/<run>/allure-results
export default {
  name: `Natstorm ${process.env.NATSTORM_RUN ?? ""}`.trim(),
  categories: {
    rules: [
      { name: "The device failed", matchers: { statuses: ["failed"] } },
      { name: "Inconclusive: nothing is known of the device", matchers: { statuses: ["broken"] } },
      { name: "Skipped, with the reason", matchers: { statuses: ["skipped"] } },
    ],
  },
  plugins: {
    awesome: {
      options: {
        reportName: `Natstorm ${process.env.NATSTORM_RUN ?? ""}`.trim(),
        singleFile: true,
        reportLanguage: "en",
        groupBy: ["testbed", "variant", "source"],
        stepTreeExpansion: "expanded", // captures and steps in sight, not three clicks away
        publish: false,
      },
    },
  },
};
