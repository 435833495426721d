__version__ = "0.1.0"
import os
os.environ.setdefault('OPENCV_IO_MAX_IMAGE_PIXELS', '64000000') # of `data.images`: OpenCV asks for it when it is imported
del os
