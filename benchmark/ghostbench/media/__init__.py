"""From a clip's media to its sampled `Frames`: samplers, video files, frame folders."""
