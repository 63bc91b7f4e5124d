# Merged with every file of testdata/bad that doesn't begin with "# alone".
database {
  url = env("DATABASE_URL")
}

webhook "base" {
  topics = ["*"]
  url    = "https://base.example/hooks"
}
