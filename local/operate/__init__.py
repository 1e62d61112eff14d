"""Running Screener on AWS: before the first deploy, every day, and when it is taken down."""
