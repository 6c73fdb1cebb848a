"""Records exchanges between Triton's own HTTP client and a network, byte for byte.

    python3 test/oip/record.py HOST:PORT API_KEY > test/oip/exchanges.json

It needs tritonclient[http] and a network that serves wisconsin/breast-cancer, guardrail/prompt-injection and
paddle/text-recognizer. What it prints has KEY in place of the API key. Its inputs are those of inputs.json.
"""

import base64
import json
import socket
import sys
import threading
from pathlib import Path

import geventhttpclient
import numpy
import tritonclient.http as triton

HERE = Path(__file__).parent
CLIENT = "tritonclient.http of triton-inference-server/client at 58a44caa0dce77303115302e6dbdf64626b2b093"
(HOST, PORT), KEY = sys.argv[1].rsplit(":", 1), sys.argv[2]


class Tee:
    """A port that passes on to the network what comes to it, and keeps both sides of what was said."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.said = [b"", b""]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection((HOST, int(PORT)))
            for side, (source, sink) in enumerate([(client, server), (server, client)]):
                threading.Thread(target=self._copy, args=(side, source, sink), daemon=True).start()

    def _copy(self, side, source, sink):
        while chunk := source.recv(65536):
            self.said[side] += chunk
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)


def kept(said):
    head, body = said.split(b"\r\n\r\n", 1)
    lines = head.replace(KEY.encode(), b"KEY").decode("latin1").split("\r\n")
    return {"head": lines, "body": base64.b64encode(body).decode()}


TEE = Tee()
EXCHANGES = []


def record(name, ask):
    client = triton.InferenceServerClient(f"127.0.0.1:{TEE.port}")
    TEE.said = [b"", b""]
    try:
        ask(client)
    except triton.InferenceServerException as error:
        print(f"{name}: {error}", file=sys.stderr)
    EXCHANGES.append({"name": name, "request": kept(TEE.said[0]), "response": kept(TEE.said[1])})
    client.close()


def tensor(name, values, binary):
    datatype = triton.np_to_triton_dtype(values.dtype) if values.dtype != object else "BYTES"
    made = triton.InferInput(name, list(values.shape), datatype)
    return made.set_data_from_numpy(values, binary_data=binary)


def infer(name, model, inputs, outputs=None, **more):
    headers = {"Authorization": f"Bearer {KEY}"}
    wanted = outputs and [triton.InferRequestedOutput(output, binary_data=binary) for output, binary in outputs.items()]
    record(name, lambda client: client.infer(model, inputs, outputs=wanted, headers=headers, **more))


given = json.loads((HERE / "inputs.json").read_text())
rows = numpy.array(given["features"], dtype=numpy.float32)
texts = numpy.array(given["texts"], dtype=object)
image = numpy.array([base64.b64decode(given["image"])], dtype=object)

CANCER, PROMPTS, READER = "wisconsin/breast-cancer", "guardrail/prompt-injection", "paddle/text-recognizer"
PROBABILITY = "malignant_probability"

record("whether the server is live", lambda client: client.is_server_live())
record("whether the server is ready", lambda client: client.is_server_ready())
record("the server's metadata", lambda client: client.get_server_metadata())
record("whether a model is ready", lambda client: client.is_model_ready(CANCER, "1.0.0"))
record("a model's metadata", lambda client: client.get_model_metadata(PROMPTS))
record("the repository's index", lambda client: client.get_model_repository_index())
record("a model that there is not", lambda client: client.get_model_metadata("nobody/nothing"))
record("a model's configuration", lambda client: client.get_model_config(CANCER))
record("loading a model", lambda client: client.load_model(CANCER))
infer("FP32, binary both ways", CANCER, [tensor("features", rows, True)], request_id="recorded")
infer("FP32, JSON both ways", CANCER, [tensor("features", rows, False)], {PROBABILITY: False}, request_id="recorded")
infer("FP32, JSON to binary", CANCER, [tensor("features", rows, False)], {PROBABILITY: True})
infer("FP32, binary to JSON", CANCER, [tensor("features", rows, True)], {PROBABILITY: False}, model_version="1.0.0")
infer("BYTES, binary both ways", PROMPTS, [tensor("text", texts, True)])
infer("BYTES, JSON both ways", PROMPTS, [tensor("text", texts, False)], {"injection_probability": False})
infer("BYTES answered in binary", READER, [tensor("image", image, True)])
infer("BYTES answered in JSON", READER, [tensor("image", image, True)], {"text": False, "confidence": False})
infer("one output in JSON and one in binary", READER, [tensor("image", image, True)], {"confidence": True, "text": False})
infer("a priority, which nobody has here", CANCER, [tensor("features", rows, True)], priority=1)

made = f"{CLIENT}, geventhttpclient {geventhttpclient.__version__}, by test/oip/record.py"
print(json.dumps({"made": made, "exchanges": EXCHANGES}, indent=2))
