"""What a run leaves behind: the archive, Allure results, the summary page, JUnit, and the words on the terminal."""
