"""Few-shot selection: which context suits a task, judged by a few labelled inputs."""
