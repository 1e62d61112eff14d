"""Answers /ping properly and everything else with what is not HTTP, or without a length."""

import os
import socket
import sys

ANSWERS = {
    "noise": b"\x00\xff I am no HTTP server\r\n\r\n",
    "endless": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{",
    "redirect": b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n",
}

with socket.create_server(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"]))) as server:
    while True:
        connection, _ = server.accept()
        with connection:
            if b"GET /ping" in connection.recv(65536):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            else:
                connection.sendall(ANSWERS[sys.argv[1]])
                # The rest of the request must be read, or closing would reset the connection.
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
