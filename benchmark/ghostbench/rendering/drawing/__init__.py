"""The drawing kit: a small perspective renderer for street scenes, made of numpy and OpenCV alone.

It draws the embedded clips of ghost5 and every grid of `bench render`, and knows nothing of either.

World axes, everywhere in this package: x to the right, y up, z along the road, in metres; the road surface is y = 0
and the middle of the ego lane is x = 0. Colours are RGB, 0-255. Pictures are drawn at twice the size of a frame and
reduced.
"""
