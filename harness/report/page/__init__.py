"""report.html: one file that asks what one has to do, and answers from the analysis. Style and script lie beside as they are sent."""
