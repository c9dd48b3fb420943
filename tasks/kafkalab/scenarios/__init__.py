"""The catalogue as data, its loader and the planner that crosses it with subjects and brokers."""
