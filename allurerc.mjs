// How Allure 3 draws report.html: one file, the scenario's variant first, then the source of the behaviour.
// Used by harness/report/allure_html.py: allure generate --config allurerc.mjs … reports/<run>/allure-results
export default {
  name: `Natstorm ${process.env.NATSTORM_RUN ?? ""}`.trim(),
  plugins: {
    awesome: {
      options: {
        reportName: `Natstorm ${process.env.NATSTORM_RUN ?? ""}`.trim(),
        singleFile: true,
        reportLanguage: "en",
        groupBy: ["testbed", "variant", "source"],
        publish: false,
      },
    },
  },
};
