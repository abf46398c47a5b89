"""The cloud's services over HTTP: thin routes that read a request, call the model and render it."""
