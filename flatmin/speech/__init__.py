"""Speech: from a folder of recordings and phone transcriptions to frames with context-dependent states."""
