"""From a dataset's name and a user's files to a `Split`: labels, layouts, storage, split lists, filters."""
