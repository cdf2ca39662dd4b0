"""A reproduction report from frozen studies: tables and numbers beside the paper's, and every claim judged by code."""
