/* onnx_writer.h - writes an ONNX file front to back: just enough protobuf for graphs that tests make up. A tensor's name is its
 * number, "t12". Lengths are four-byte varints, filled in when a message ends. */
#ifndef NAC_FUZZ_ONNX_WRITER_H
#define NAC_FUZZ_ONNX_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { ONNX_CAPACITY = 1 << 18 };

typedef struct onnx_writer {
    uint8_t bytes[ONNX_CAPACITY];
    size_t size;
    bool full; /* something did not fit: the file is of no use */
} onnx_writer;

static inline void put_bytes(onnx_writer *w, const void *bytes, size_t size) {
    if (size > ONNX_CAPACITY - w->size) {
        w->full = true;
        return;
    }
    if (size > 0) memcpy(w->bytes + w->size, bytes, size);
    w->size += size;
}

static inline void put_varint(onnx_writer *w, uint64_t number) {
    uint8_t bytes[10];
    size_t n = 0;
    for (; number > 127; number >>= 7) bytes[n++] = (uint8_t)(number | 128);
    bytes[n++] = (uint8_t)number;
    put_bytes(w, bytes, n);
}

static inline void put_int(onnx_writer *w, int field, int64_t number) {
    put_varint(w, (uint64_t)field << 3);
    put_varint(w, (uint64_t)number);
}

static inline void put_float(onnx_writer *w, int field, float number) {
    put_varint(w, (uint64_t)field << 3 | 5);
    put_bytes(w, &number, sizeof number);
}

static inline void put_field(onnx_writer *w, int field, const void *bytes, size_t size) {
    put_varint(w, (uint64_t)field << 3 | 2);
    put_varint(w, size);
    put_bytes(w, bytes, size);
}

static inline void put_text(onnx_writer *w, int field, const char *text) { put_field(w, field, text, strlen(text)); }

static inline void put_name(onnx_writer *w, int field, int tensor) {
    char name[16];
    snprintf(name, sizeof name, "t%d", tensor);
    put_text(w, field, name);
}

/* A message: what is put until put_end(begun) lies inside of it. */
static inline size_t put_begin(onnx_writer *w, int field) {
    put_varint(w, (uint64_t)field << 3 | 2);
    put_bytes(w, "\0\0\0", 4);
    return w->size;
}

static inline void put_end(onnx_writer *w, size_t begun) {
    if (w->full) return;
    const size_t length = w->size - begun;
    for (size_t i = 0; i < 4; ++i) w->bytes[begun - 4 + i] = (uint8_t)((length >> (7 * i) & 127) | (i < 3 ? 128 : 0));
}

/* ---- Parts of a graph ---------------------------------------------------------------------------- */

/* TensorProto of float32 (1) or int64 (7) numbers. */
static inline void put_initializer(onnx_writer *w, int tensor, int type, int rank, const int *dims, const void *numbers, size_t size) {
    const size_t message = put_begin(w, 5);
    for (int i = 0; i < rank; ++i) put_int(w, 1, dims[i]);
    put_int(w, 2, type);
    put_name(w, 8, tensor);
    put_field(w, 9, numbers, size);
    put_end(w, message);
}

/* ValueInfoProto: an input (field 11) or output (12) of the graph; a dim of 0 is left free. */
static inline void put_value(onnx_writer *w, int field, int tensor, int rank, const int *dims) {
    const size_t value = put_begin(w, field);
    put_name(w, 1, tensor);
    const size_t type = put_begin(w, 2), tensor_type = put_begin(w, 1);
    put_int(w, 1, 1);
    const size_t shape = put_begin(w, 2);
    for (int i = 0; i < rank; ++i) {
        const size_t dim = put_begin(w, 1);
        if (dims[i] > 0) put_int(w, 1, dims[i]);
        else put_text(w, 2, "N");
        put_end(w, dim);
    }
    put_end(w, shape);
    put_end(w, tensor_type);
    put_end(w, type);
    put_end(w, value);
}

/* Attributes of the node that is being written. */
static inline void put_attribute_int(onnx_writer *w, const char *name, int64_t number) {
    const size_t message = put_begin(w, 5);
    put_text(w, 1, name);
    put_int(w, 20, 2);
    put_int(w, 3, number);
    put_end(w, message);
}

static inline void put_attribute_float(onnx_writer *w, const char *name, float number) {
    const size_t message = put_begin(w, 5);
    put_text(w, 1, name);
    put_int(w, 20, 1);
    put_float(w, 2, number);
    put_end(w, message);
}

static inline void put_attribute_ints(onnx_writer *w, const char *name, int count, const int *ints) {
    const size_t message = put_begin(w, 5);
    put_text(w, 1, name);
    put_int(w, 20, 7);
    for (int i = 0; i < count; ++i) put_int(w, 8, ints[i]);
    put_end(w, message);
}

#endif
