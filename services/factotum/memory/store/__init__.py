"""Where records are kept: one port, in Milvus and in memory."""
