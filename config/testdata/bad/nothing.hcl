# alone: an empty configuration
# want nowhere "Missing \"database\" block.*env\(\"DATABASE_URL\"\)"
# want nowhere "No webhooks"
