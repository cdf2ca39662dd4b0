"""What the trainings differ in, and the tables they leave."""

AXES = ("batch_size", "learning_rate", "width", "weight_decay")
TRAININGS = "correlation_trainings"
MEASURES = "correlation_measures"
