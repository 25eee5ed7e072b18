"""What was found: findings, their rules, the order of causes, reports and pages."""
