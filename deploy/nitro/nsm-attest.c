/*
 * Asks the Nitro Secure Module for an attestation document over report data, and prints what `tallyd node --attest PATH`
 * reads: {"technology": "nitro", "evidence": base64, "collateral": []}. Node.js has no ioctl; this is all that it lacks.
 *
 *   nsm-attest HEX            inside an enclave, where /dev/nsm is
 *
 * The request and the response are CBOR, as the module takes and gives them (linux/nsm.h; aws-nitro-enclaves-nsm-api).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REQUEST_MOST 0x1000
#define RESPONSE_MOST 0x3000
#define USER_DATA_MOST 64

struct nsm_iovec {
  uint64_t addr;
  uint64_t len;
};
struct nsm_raw {
  struct nsm_iovec request;
  struct nsm_iovec response;
};
#define NSM_IOCTL_RAW _IOWR(0x0A, 0x0, struct nsm_raw)

static int hex_digit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  return -1;
}

/* The bytes of lower-case hex; -1 where it is none, or too long. */
static int parse_hex(const char *text, uint8_t *bytes) {
  size_t length = strlen(text);
  if (length == 0 || length % 2 != 0 || length / 2 > USER_DATA_MOST) return -1;
  for (size_t i = 0; i < length / 2; i++) {
    int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return -1;
    bytes[i] = (uint8_t)(high << 4 | low);
  }
  return (int)(length / 2);
}

static size_t put_text(uint8_t *at, const char *text) {
  size_t length = strlen(text); /* Each is shorter than 24. */
  at[0] = (uint8_t)(0x60 | length);
  memcpy(at + 1, text, length);
  return length + 1;
}

/* {"Attestation": {"user_data": bytes, "nonce": null, "public_key": null}} */
static size_t encode_request(uint8_t *request, const uint8_t *data, int length) {
  size_t size = 0;
  request[size++] = 0xa1;
  size += put_text(request + size, "Attestation");
  request[size++] = 0xa3;
  size += put_text(request + size, "user_data");
  request[size++] = 0x58;
  request[size++] = (uint8_t)length;
  memcpy(request + size, data, (size_t)length);
  size += (size_t)length;
  size += put_text(request + size, "nonce");
  request[size++] = 0xf6;
  size += put_text(request + size, "public_key");
  request[size++] = 0xf6;
  return size;
}

/* The document in {"Attestation": {"document": bytes}}; NULL where the module says anything else. */
static const uint8_t *find_document(const uint8_t *response, size_t size, size_t *length) {
  uint8_t head[32];
  size_t at = 0;
  head[at++] = 0xa1;
  at += put_text(head + at, "Attestation");
  head[at++] = 0xa1;
  at += put_text(head + at, "document");
  head[at++] = 0x59; /* A byte string with a length of two bytes. */
  if (size < at + 2 || memcmp(response, head, at) != 0) return NULL;
  *length = (size_t)response[at] << 8 | response[at + 1];
  return at + 2 + *length <= size ? response + at + 2 : NULL;
}

static void print_base64(const uint8_t *bytes, size_t length) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < length; i += 3) {
    uint32_t word = (uint32_t)bytes[i] << 16;
    if (i + 1 < length) word |= (uint32_t)bytes[i + 1] << 8;
    if (i + 2 < length) word |= bytes[i + 2];
    putchar(letters[word >> 18]);
    putchar(letters[word >> 12 & 63]);
    putchar(i + 1 < length ? letters[word >> 6 & 63] : '=');
    putchar(i + 2 < length ? letters[word & 63] : '=');
  }
}

int main(int count, char **arguments) {
  uint8_t data[USER_DATA_MOST], request[REQUEST_MOST], response[RESPONSE_MOST];
  int length = count == 2 ? parse_hex(arguments[1], data) : -1;
  if (length < 0) {
    fprintf(stderr, "nsm-attest takes report data: 1 to %d bytes in lower-case hex\n", USER_DATA_MOST);
    return 2;
  }
  int device = open("/dev/nsm", O_RDWR | O_CLOEXEC);
  if (device < 0) {
    fprintf(stderr, "/dev/nsm: %s: is this a Nitro enclave?\n", strerror(errno));
    return 1;
  }
  struct nsm_raw raw = {
      .request = {.addr = (uint64_t)(uintptr_t)request, .len = encode_request(request, data, length)},
      .response = {.addr = (uint64_t)(uintptr_t)response, .len = sizeof response},
  };
  int failed = ioctl(device, NSM_IOCTL_RAW, &raw);
  int why = errno;
  close(device);
  if (failed < 0) {
    fprintf(stderr, "the Nitro Secure Module did not answer: %s\n", strerror(why));
    return 1;
  }
  size_t size = 0;
  const uint8_t *document = find_document(response, (size_t)raw.response.len, &size);
  if (document == NULL) {
    fprintf(stderr, "the Nitro Secure Module gave no document\n");
    return 1;
  }
  printf("{\"technology\":\"nitro\",\"evidence\":\"");
  print_base64(document, size);
  printf("\",\"collateral\":[]}\n");
  return fflush(stdout) == 0 ? 0 : 1;
}
