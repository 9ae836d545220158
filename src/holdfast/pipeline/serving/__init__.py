"""A converted model as a small server: one page, one JSON call, for one machine. Starlette and uvicorn do the HTTP."""
