/* tensor.c - TensorProto: what it is when the file is opened, its numbers when a session asks. */
#include <string.h>

#include "onnx/reader.h"

/* The five typed fields; each data type keeps its numbers in one of them, or in raw_data. */
typedef enum typed_data { FLOAT_DATA, INT32_DATA, INT64_DATA, DOUBLE_DATA, UINT64_DATA, FIELD_COUNT } typed_data;

enum { EXTERNAL = 1 }; /* TensorProto.DataLocation */

/* Field and bytes of an element in raw_data; size 0: not a number. */
static size_t element_size(int data_type, typed_data *typed) {
    switch (data_type) {
    case NAC_ONNX_FLOAT: *typed = FLOAT_DATA; return 4;
    case NAC_ONNX_DOUBLE: *typed = DOUBLE_DATA; return 8;
    case NAC_ONNX_INT64: *typed = INT64_DATA; return 8;
    case NAC_ONNX_UINT32: *typed = UINT64_DATA; return 4;
    case NAC_ONNX_UINT64: *typed = UINT64_DATA; return 8;
    case NAC_ONNX_INT32: *typed = INT32_DATA; return 4;
    case NAC_ONNX_UINT16:
    case NAC_ONNX_INT16:
    case NAC_ONNX_FLOAT16:
    case NAC_ONNX_BFLOAT16: *typed = INT32_DATA; return 2;
    case NAC_ONNX_UINT8:
    case NAC_ONNX_INT8:
    case NAC_ONNX_BOOL: *typed = INT32_DATA; return 1;
    default: *typed = FIELD_COUNT; return 0;
    }
}

bool nac_onnx_tensor_is_number(const nac_onnx_tensor *tensor) {
    typed_data typed;
    return element_size(tensor->data_type, &typed) != 0;
}

bool nac_onnx_tensor_is_float(const nac_onnx_tensor *tensor) {
    const int type = tensor->data_type;
    return type == NAC_ONNX_FLOAT || type == NAC_ONNX_FLOAT16 || type == NAC_ONNX_BFLOAT16 || type == NAC_ONNX_DOUBLE;
}

bool nac_onnx_tensor_becomes_float(const nac_onnx_tensor *tensor) {
    const bool bytes = tensor->data_type == NAC_ONNX_INT8 || tensor->data_type == NAC_ONNX_UINT8;
    return nac_onnx_tensor_is_float(tensor) || (bytes && tensor->rank > 1);
}

/* ---- One number -------------------------------------------------------------------------------- */

static float float_of_bits(uint32_t bits) {
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

/* Exponent and mantissa move to where a float has them; the exponent is counted from another zero there, 2^112 away. Exact,
 * subnormal numbers too; infinity and NaN are told by theirs. */
static float float16_of_bits(uint32_t bits) {
    const float magnitude = float_of_bits((bits & 0x7fff) << 13) * 0x1p112f;
    const float number = (bits & 0x7c00) == 0x7c00 ? float_of_bits(0x7f800000 | (bits & 0x3ff) << 13) : magnitude;
    return bits & 0x8000 ? -number : number;
}

static double double_of_bits(uint64_t bits) {
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

/* A number's low bytes, as they lie in raw_data, in *real (floating types) or *whole. False: more than int64 holds. */
static bool decode_number(int data_type, uint64_t bits, double *real, int64_t *whole) {
    switch (data_type) {
    case NAC_ONNX_FLOAT: *real = (double)float_of_bits((uint32_t)bits); return true;
    case NAC_ONNX_FLOAT16: *real = (double)float16_of_bits((uint32_t)bits & 0xffff); return true;
    case NAC_ONNX_BFLOAT16: *real = (double)float_of_bits((uint32_t)bits << 16); return true;
    case NAC_ONNX_DOUBLE: *real = double_of_bits(bits); return true;
    case NAC_ONNX_INT8: *whole = (int8_t)bits; return true;
    case NAC_ONNX_INT16: *whole = (int16_t)bits; return true;
    case NAC_ONNX_INT32: *whole = (int32_t)bits; return true;
    case NAC_ONNX_UINT8: *whole = (uint8_t)bits; return true;
    case NAC_ONNX_UINT16: *whole = (uint16_t)bits; return true;
    case NAC_ONNX_UINT32: *whole = (uint32_t)bits; return true;
    case NAC_ONNX_BOOL: *whole = (uint8_t)bits != 0; return true;
    case NAC_ONNX_UINT64: *whole = (int64_t)bits; return bits <= INT64_MAX;
    default: *whole = (int64_t)bits; return true;
    }
}

/* ---- Walking over a TensorProto ---------------------------------------------------------------- */

/* Where the numbers go; with neither floats nor ints they are only counted. */
typedef struct sink {
    int data_type;
    float *floats;
    int64_t *ints;
    size_t capacity;
    size_t counts[FIELD_COUNT];
    bool unfit; /* a number that int64 does not hold */
} sink;

static void put(sink *to, size_t at, uint64_t bits) {
    double real = 0;
    int64_t whole = 0;
    const bool floating = to->data_type == NAC_ONNX_FLOAT || to->data_type == NAC_ONNX_FLOAT16 ||
                          to->data_type == NAC_ONNX_BFLOAT16 || to->data_type == NAC_ONNX_DOUBLE;
    if (!decode_number(to->data_type, bits, &real, &whole)) to->unfit = true;
    if (to->floats) {
        to->floats[at] = floating ? (float)real : (float)whole;
        return;
    }
    /* 2^63 is a double, INT64_MAX is not. NaN fails both comparisons. */
    if (floating && !(real >= -0x1p63 && real < 0x1p63)) to->unfit = true;
    else to->ints[at] = floating ? (int64_t)real : whole;
}

typedef struct numbers_field {
    sink *to;
    typed_data typed;
} numbers_field;

/* Packed, nanopb calls this with a stretch of numbers; unpacked, with one at a time. */
static bool read_numbers(pb_istream_t *stream, const pb_field_t *field_, void **arg) {
    (void)field_;
    const numbers_field *field = *arg;
    sink *to = field->to;
    while (stream->bytes_left > 0) {
        uint64_t bits = 0;
        uint32_t bits32 = 0;
        bool read;
        if (field->typed == FLOAT_DATA) {
            read = pb_decode_fixed32(stream, &bits32);
            bits = bits32;
        } else if (field->typed == DOUBLE_DATA) {
            read = pb_decode_fixed64(stream, &bits);
        } else {
            read = pb_decode_varint(stream, &bits);
        }
        if (!read) return false;
        const size_t at = to->counts[field->typed]++;
        if ((to->floats || to->ints) && at < to->capacity) put(to, at, bits);
    }
    return true;
}

typedef struct dims_field {
    nac_reader *reader;
    nac_onnx_tensor *tensor;
} dims_field;

static bool read_dims(pb_istream_t *stream, const pb_field_t *field_, void **arg) {
    (void)field_;
    const dims_field *field = *arg;
    nac_onnx_tensor *tensor = field->tensor;
    while (stream->bytes_left > 0) {
        uint64_t bits;
        if (!pb_decode_varint(stream, &bits)) return false;
        if (bits > INT64_MAX) return nac_reader_fail(field->reader, NAC_MALFORMED, "a tensor has a negative dimension");
        /* An excess of dims is only counted: whoever uses the tensor refuses its rank. */
        if (tensor->rank < NAC_MAX_RANK) tensor->dims[tensor->rank] = (int64_t)bits;
        if (bits > SIZE_MAX || !nac_mul_size(tensor->count, (size_t)bits, &tensor->count))
            return nac_reader_fail(field->reader, NAC_LIMIT_EXCEEDED, "a tensor has more elements than memory can address");
        if (++tensor->rank > 1024) return nac_reader_fail(field->reader, NAC_LIMIT_EXCEEDED, "a tensor has more than 1024 dimensions");
    }
    return true;
}

/* raw_data, as a stretch of the file. */
typedef struct raw_field {
    const nac_reader *reader;
    const uint8_t *bytes;
    size_t size;
} raw_field;

static bool read_raw(pb_istream_t *stream, const pb_field_t *field_, void **arg) {
    (void)field_;
    raw_field *field = *arg;
    field->size = stream->bytes_left;
    field->bytes = nac_reader_position(field->reader, stream);
    return field->bytes && pb_read(stream, NULL, stream->bytes_left);
}

static pb_callback_t *typed_callback(onnx_TensorProto *message, typed_data typed) {
    switch (typed) {
    case FLOAT_DATA: return &message->float_data;
    case INT32_DATA: return &message->int32_data;
    case INT64_DATA: return &message->int64_data;
    case DOUBLE_DATA: return &message->double_data;
    default: return &message->uint64_data;
    }
}

bool nac_read_tensor(nac_reader *reader, const uint8_t *bytes, size_t size, nac_onnx_tensor *tensor) {
    *tensor = (nac_onnx_tensor){.count = 1, .bytes = bytes, .size = size};
    onnx_TensorProto message = onnx_TensorProto_init_zero;
    sink counted = {.data_type = 0};
    raw_field raw = {.reader = reader};
    nac_text_field name = {.reader = reader, .what = "a tensor's name"};
    dims_field dims = {reader, tensor};
    numbers_field fields[FIELD_COUNT];
    for (int i = 0; i < FIELD_COUNT; ++i) {
        fields[i] = (numbers_field){&counted, (typed_data)i};
        *typed_callback(&message, (typed_data)i) = (pb_callback_t){.funcs.decode = read_numbers, .arg = &fields[i]};
    }
    message.raw_data = (pb_callback_t){.funcs.decode = read_raw, .arg = &raw};
    message.name = nac_text_callback(&name);
    message.dims = (pb_callback_t){.funcs.decode = read_dims, .arg = &dims};
    nac_external_draft external = {.reader = reader};
    message.external_data = (pb_callback_t){.funcs.decode = nac_read_external, .arg = &external};
    pb_istream_t stream = pb_istream_from_buffer(bytes, size);
    if (!pb_decode(&stream, onnx_TensorProto_fields, &message))
        return nac_reader_fail(reader, NAC_MALFORMED, "a tensor's message is cut off or not protobuf");
    tensor->name = name.text ? name.text : "";
    tensor->data_type = message.data_type;
    typed_data typed;
    const size_t element = element_size(tensor->data_type, &typed);
    if (element == 0) return true; /* refused when somebody wants its numbers */
    if (message.data_location == EXTERNAL) {
        size_t length;
        if (!nac_mul_size(tensor->count, element, &length))
            return nac_reader_fail(reader, NAC_LIMIT_EXCEEDED, "tensor '%s' has more elements than memory can address", tensor->name);
        return nac_add_external(reader, &external, length, tensor);
    }
    if (raw.size % element != 0)
        return nac_reader_fail(reader, NAC_MALFORMED, "tensor '%s' has %zu bytes of data, which its elements of %zu bytes do not fill",
                               tensor->name, raw.size, element);
    const size_t held = raw.size > 0 ? raw.size / element : counted.counts[typed];
    if (held != tensor->count)
        return nac_reader_fail(reader, NAC_MALFORMED, "tensor '%s' has %zu elements by its dimensions but %zu by its data", tensor->name,
                               tensor->count, held);
    if (raw.size > 0) tensor->raw = raw.bytes;
    return true;
}

/* ---- Numbers ----------------------------------------------------------------------------------- */

/* Every target of this library is little-endian, and so is the format. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "a big-endian target needs byte swapping here"
#endif

/* Its numbers as they lie in a file, the model's or another; NULL where a typed field holds them, or that file is not attached. */
static const uint8_t *raw_of(const nac_onnx_tensor *tensor) {
    const nac_onnx_external *external = tensor->external;
    if (!external) return tensor->raw;
    return external->file->bytes ? external->file->bytes + external->offset : NULL;
}

/* Whole numbers are loaded, which becomes vectors without shuffles: put together of bytes, they take twice as long. */
NAC_NOT_INLINED static void copy_float16(const uint8_t *restrict raw, size_t count, float *restrict numbers) {
    for (size_t i = 0; i < count; ++i) {
        uint16_t bits;
        memcpy(&bits, raw + i * sizeof bits, sizeof bits);
        numbers[i] = float16_of_bits(bits);
    }
}

NAC_NOT_INLINED static void copy_int8(const uint8_t *restrict raw, size_t count, float *restrict numbers) {
    for (size_t i = 0; i < count; ++i) numbers[i] = (float)(int8_t)raw[i];
}

NAC_NOT_INLINED static void copy_uint8(const uint8_t *restrict raw, size_t count, float *restrict numbers) {
    for (size_t i = 0; i < count; ++i) numbers[i] = (float)raw[i];
}

/* Nearly all bytes of nearly all files. False: of another type. */
static bool copy_weights(int data_type, const uint8_t *raw, size_t count, float *numbers) {
    switch (data_type) {
    case NAC_ONNX_FLOAT: memcpy(numbers, raw, count * sizeof *numbers); return true;
    case NAC_ONNX_FLOAT16: copy_float16(raw, count, numbers); return true;
    case NAC_ONNX_INT8: copy_int8(raw, count, numbers); return true;
    case NAC_ONNX_UINT8: copy_uint8(raw, count, numbers); return true;
    default: return false;
    }
}

static nac_status copy_numbers(const nac_onnx_tensor *tensor, sink *to, nac_error *error) {
    typed_data typed;
    const size_t element = element_size(tensor->data_type, &typed);
    if (element == 0)
        return nac_fail(error, NAC_UNSUPPORTED, "tensor '%s' has data type %d; numbers of this type are not supported", tensor->name,
                        tensor->data_type);
    to->data_type = tensor->data_type;
    if (tensor->external && !tensor->external->file->bytes)
        return nac_fail(error, NAC_NOT_FOUND, "tensor '%s' lies in '%s', which is not attached", tensor->name, tensor->external->file_name);
    const uint8_t *raw = raw_of(tensor);
    if (raw && to->floats && copy_weights(tensor->data_type, raw, tensor->count, to->floats)) return NAC_OK;
    if (raw) {
        for (size_t i = 0; i < tensor->count; ++i) {
            uint64_t bits = 0;
            for (size_t b = 0; b < element; ++b) bits |= (uint64_t)raw[i * element + b] << (8 * b);
            put(to, i, bits);
        }
    } else {
        onnx_TensorProto message = onnx_TensorProto_init_zero;
        numbers_field numbers = {to, typed};
        *typed_callback(&message, typed) = (pb_callback_t){.funcs.decode = read_numbers, .arg = &numbers};
        to->capacity = tensor->count;
        pb_istream_t stream = pb_istream_from_buffer(tensor->bytes, tensor->size);
        if (!pb_decode(&stream, onnx_TensorProto_fields, &message) || to->counts[typed] != tensor->count)
            return nac_fail(error, NAC_MALFORMED, "tensor '%s': the file's bytes have changed since it was opened", tensor->name);
    }
    if (to->unfit) return nac_fail(error, NAC_UNSUPPORTED, "tensor '%s' holds a number that does not fit 64 bits", tensor->name);
    return NAC_OK;
}

nac_status nac_onnx_tensor_floats(const nac_onnx_tensor *tensor, float *numbers, nac_error *error) {
    sink to = {.floats = numbers};
    return copy_numbers(tensor, &to, error);
}

bool nac_onnx_tensor_is_filters(const nac_onnx_tensor *tensor) {
    return tensor->rank == 4 && tensor->count > 0 && raw_of(tensor) && nac_onnx_tensor_becomes_float(tensor);
}

/* [inputs,taps] -> [taps,inputs]; four inputs at a time become a vector. */
NAC_NOT_INLINED static void exchange(const float *restrict from, size_t inputs, size_t taps, float *restrict to) {
    const size_t whole = inputs / 4 * 4;
    for (size_t i = 0; i < whole; i += 4)
        for (size_t t = 0; t < taps; ++t) {
            const float *x = from + i * taps + t;
            float *y = to + t * inputs + i;
            const float four[4] = {x[0], x[taps], x[2 * taps], x[3 * taps]};
            memcpy(y, four, sizeof four);
        }
    for (size_t i = whole; i < inputs; ++i)
        for (size_t t = 0; t < taps; ++t) to[t * inputs + i] = from[i * taps + t];
}

nac_status nac_onnx_tensor_filters(const nac_onnx_tensor *tensor, float *numbers, nac_error *error) {
    typed_data typed;
    const size_t taps = (size_t)(tensor->dims[2] * tensor->dims[3]), inputs = (size_t)tensor->dims[1], size = inputs * taps;
    if (taps == 1) return nac_onnx_tensor_floats(tensor, numbers, error);
    float *filter = nac_alloc_array(size, sizeof *filter);
    if (!filter) return nac_out_of_memory(error, tensor->name);
    const uint8_t *raw = raw_of(tensor);
    nac_onnx_tensor channel = *tensor;
    channel.count = size;
    channel.external = NULL;
    nac_status status = NAC_OK;
    for (size_t at = 0; at < tensor->count && status == NAC_OK; at += size) {
        channel.raw = raw + at * element_size(tensor->data_type, &typed);
        status = nac_onnx_tensor_floats(&channel, filter, error);
        exchange(filter, inputs, taps, numbers + at);
    }
    nac_free(filter);
    return status;
}

bool nac_onnx_tensor_is_filters_of_bytes(const nac_onnx_tensor *tensor) {
    return nac_onnx_tensor_is_filters(tensor) && (tensor->data_type == NAC_ONNX_INT8 || tensor->data_type == NAC_ONNX_UINT8);
}

NAC_NOT_INLINED static void exchange_bytes(const uint8_t *restrict from, size_t inputs, size_t taps, uint8_t flip, int8_t *restrict to) {
    for (size_t t = 0; t < taps; ++t)
        for (size_t i = 0; i < inputs; ++i) to[t * inputs + i] = (int8_t)(from[i * taps + t] ^ flip);
}

void nac_onnx_tensor_filter_bytes(const nac_onnx_tensor *tensor, int8_t *numbers, int16_t *zero) {
    const size_t taps = (size_t)(tensor->dims[2] * tensor->dims[3]), inputs = (size_t)tensor->dims[1], size = inputs * taps;
    const bool is_signed = tensor->data_type == NAC_ONNX_INT8;
    const uint8_t *raw = raw_of(tensor), flip = is_signed ? 0 : 0x80;
    *zero = is_signed ? 0 : -128;
    for (size_t at = 0; at < tensor->count; at += size) exchange_bytes(raw + at, inputs, taps, flip, numbers + at);
}

nac_status nac_onnx_tensor_ints(const nac_onnx_tensor *tensor, int64_t *numbers, nac_error *error) {
    sink to = {.ints = numbers};
    return copy_numbers(tensor, &to, error);
}
