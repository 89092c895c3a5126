"""What is seen of the world while a model serves: drift of its baskets, and how often it is right where labels arrive.

    observer (hot: copies) -> tick (its own thread, every second: counts) -> slots in shared memory -> figures
                                                                             figures -> /metrics, CloudWatch lines
    /feedback -> the same thread: finds the prediction, counts            -> slots

`live` ties them together. Everything here is bounded in memory, and nothing here may fail a prediction.
"""
