"""The live worker: match events enter from Kafka, are judged as they come, and violations leave."""
