/* What the kernels need of the machine: vectors of bytes and of floats, for AVX-512 (VNNI), AVX2, and plain C.

   Bytes: BYTES weights at a time. `dot` adds the products of BYTES weights (int8) and activations (int8, never -128) to
   32-bit sums, exactly. Where the machine multiplies unsigned by signed bytes, a weight is taken as w + 128 (`offset`),
   and the sum is put right afterwards by OFFSET times the sum of the activations.
   4-bit codes, two a byte, become bytes by `look_up` in a table of 16 of them.
   Floats: LANES at a time. Widening 16 bits to float32 is exact; sums are rounded, in an order that LANES sets. */
#pragma once
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* The types of weights, caches and activations, as the Python side numbers them. */
enum { FLOAT32 = 0, BFLOAT16 = 1, FLOAT16 = 2 };

INLINE int element_bytes(int type) { return type == FLOAT32 ? 4 : 2; }

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VNNI__)
#include <immintrin.h>
#define INSTRUCTIONS "AVX-512 VNNI"
#define BYTES 64
#define MOST_ROWS 6 /* of activations in a tile: 4 x 6 sums and what they are made of fill the 32 registers */
#define OFFSET 128
#define LANES 16
typedef __m512i bytes;
typedef __m512i sums;
typedef __m512 floats;
/* Loads a value once: left alone, gcc loads it again for each product, and loads are what a tile runs out of. */
#define LOAD_ONCE(value) __asm__("" : "+v"(value))

INLINE bytes load_bytes(const int8_t *from) { return _mm512_loadu_si512(from); }
INLINE bytes load_some_bytes(const int8_t *from, long count) {
    return _mm512_maskz_loadu_epi8((__mmask64)((1ull << count) - 1), from);
}
INLINE bytes offset(bytes weights) { return _mm512_xor_si512(weights, _mm512_set1_epi8((char)0x80)); }
INLINE bytes low_nibbles(bytes pairs) { return _mm512_and_si512(pairs, _mm512_set1_epi8(15)); }
INLINE bytes high_nibbles(bytes pairs) { return low_nibbles(_mm512_srli_epi16(pairs, 4)); }
INLINE bytes load_table(const int8_t *sixteen) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)sixteen));
}
INLINE bytes look_up(bytes table, bytes nibbles) { return _mm512_shuffle_epi8(table, nibbles); }
INLINE void store_bytes(int8_t *to, bytes values) { _mm512_storeu_si512(to, values); }
INLINE sums no_sums(void) { return _mm512_setzero_si512(); }
INLINE sums dot(sums so_far, bytes weights, bytes activations) {
    return _mm512_dpbusd_epi32(so_far, weights, activations);
}
INLINE __m256i halves(__m512i four) {
    return _mm256_add_epi32(_mm512_castsi512_si256(four), _mm512_extracti64x4_epi64(four, 1));
}
INLINE void total_four(sums a, sums b, sums c, sums d, int32_t *to) {
    __m256i ab = _mm256_hadd_epi32(halves(a), halves(b));
    __m256i cd = _mm256_hadd_epi32(halves(c), halves(d));
    __m256i all = _mm256_hadd_epi32(ab, cd);
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
    _mm_storeu_si128((__m128i *)to, sum);
}

INLINE floats no_floats(void) { return _mm512_setzero_ps(); }
INLINE floats all_floats(float value) { return _mm512_set1_ps(value); }
INLINE floats load_floats(const float *from) { return _mm512_loadu_ps(from); }
INLINE void store_floats(float *to, floats values) { _mm512_storeu_ps(to, values); }
INLINE floats multiply_add(floats a, floats b, floats c) { return _mm512_fmadd_ps(a, b, c); }
INLINE float total(floats values) { return _mm512_reduce_add_ps(values); }
INLINE floats widen(int type, const void *from) {
    if (type == FLOAT32) return _mm512_loadu_ps(from);
    __m256i short_ = _mm256_loadu_si256(from);
    if (type == FLOAT16) return _mm512_cvtph_ps(short_);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(short_), 16));
}
#if defined(__AVX512BF16__)
#define HAS_PAIRS 1 /* vectors of twice as many bfloat16; neighbours' products go into one sum */
INLINE floats multiply_add_pairs(floats a, floats b, floats c) {
    return _mm512_dpbf16_ps(c, (__m512bh)a, (__m512bh)b);
}
#endif

#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include <immintrin.h>
#define INSTRUCTIONS "AVX2"
#define BYTES 32
#define MOST_ROWS 2 /* of activations in a tile: there are 16 registers */
#define OFFSET 0
#define LANES 8
typedef __m256i bytes;
typedef __m256i sums;
typedef __m256 floats;
#define LOAD_ONCE(value) __asm__("" : "+x"(value))

INLINE bytes load_bytes(const int8_t *from) { return _mm256_loadu_si256((const __m256i *)from); }
INLINE bytes load_some_bytes(const int8_t *from, long count) {
    int8_t padded[32] = {0};
    memcpy(padded, from, (size_t)count);
    return load_bytes(padded);
}
INLINE bytes offset(bytes weights) { return weights; }
INLINE bytes low_nibbles(bytes pairs) { return _mm256_and_si256(pairs, _mm256_set1_epi8(15)); }
INLINE bytes high_nibbles(bytes pairs) { return low_nibbles(_mm256_srli_epi16(pairs, 4)); }
INLINE bytes load_table(const int8_t *sixteen) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)sixteen));
}
INLINE bytes look_up(bytes table, bytes nibbles) { return _mm256_shuffle_epi8(table, nibbles); }
INLINE void store_bytes(int8_t *to, bytes values) { _mm256_storeu_si256((__m256i *)to, values); }
INLINE sums no_sums(void) { return _mm256_setzero_si256(); }
/* |w| * (x with w's sign): pairs stay below 2 * 128 * 127, so the 16-bit sums in between never saturate. */
INLINE sums dot(sums so_far, bytes weights, bytes activations) {
    __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(activations, weights));
    return _mm256_add_epi32(so_far, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
INLINE void total_four(sums a, sums b, sums c, sums d, int32_t *to) {
    __m256i ab = _mm256_hadd_epi32(a, b);
    __m256i cd = _mm256_hadd_epi32(c, d);
    __m256i all = _mm256_hadd_epi32(ab, cd);
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
    _mm_storeu_si128((__m128i *)to, sum);
}

INLINE floats no_floats(void) { return _mm256_setzero_ps(); }
INLINE floats all_floats(float value) { return _mm256_set1_ps(value); }
INLINE floats load_floats(const float *from) { return _mm256_loadu_ps(from); }
INLINE void store_floats(float *to, floats values) { _mm256_storeu_ps(to, values); }
INLINE floats multiply_add(floats a, floats b, floats c) { return _mm256_fmadd_ps(a, b, c); }
INLINE float total(floats values) {
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(values), _mm256_extractf128_ps(values, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
INLINE floats widen(int type, const void *from) {
    if (type == FLOAT32) return _mm256_loadu_ps(from);
    __m128i short_ = _mm_loadu_si128(from);
    if (type == FLOAT16) return _mm256_cvtph_ps(short_);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(short_), 16));
}

#else
#define INSTRUCTIONS "plain C"
#define BYTES 16
#define MOST_ROWS 2
#define OFFSET 0
#define LANES 4
typedef struct { int8_t at[BYTES]; } bytes;
typedef struct { int32_t at[4]; } sums;
typedef struct { float at[LANES]; } floats;
#define LOAD_ONCE(value) (void)(value)

INLINE bytes load_some_bytes(const int8_t *from, long count) {
    bytes loaded = {{0}};
    memcpy(loaded.at, from, (size_t)count);
    return loaded;
}
INLINE bytes load_bytes(const int8_t *from) { return load_some_bytes(from, BYTES); }
INLINE bytes offset(bytes weights) { return weights; }
INLINE bytes low_nibbles(bytes pairs) {
    for (int i = 0; i < BYTES; i++) pairs.at[i] &= 15;
    return pairs;
}
INLINE bytes high_nibbles(bytes pairs) {
    for (int i = 0; i < BYTES; i++) pairs.at[i] = (int8_t)((uint8_t)pairs.at[i] >> 4);
    return pairs;
}
INLINE bytes load_table(const int8_t *sixteen) { return load_bytes(sixteen); }
INLINE bytes look_up(bytes table, bytes nibbles) {
    for (int i = 0; i < BYTES; i++) nibbles.at[i] = table.at[nibbles.at[i]];
    return nibbles;
}
INLINE void store_bytes(int8_t *to, bytes values) { memcpy(to, values.at, sizeof values.at); }
INLINE sums no_sums(void) { return (sums){{0}}; }
INLINE sums dot(sums so_far, bytes weights, bytes activations) {
    for (int i = 0; i < BYTES; i++) so_far.at[i % 4] += (int32_t)weights.at[i] * activations.at[i];
    return so_far;
}
INLINE void total_four(sums a, sums b, sums c, sums d, int32_t *to) {
    sums from[4] = {a, b, c, d};
    for (int i = 0; i < 4; i++) to[i] = from[i].at[0] + from[i].at[1] + from[i].at[2] + from[i].at[3];
}

INLINE floats no_floats(void) { return (floats){{0}}; }
INLINE floats all_floats(float value) { return (floats){{value, value, value, value}}; }
INLINE floats load_floats(const float *from) { return (floats){{from[0], from[1], from[2], from[3]}}; }
INLINE void store_floats(float *to, floats values) { memcpy(to, values.at, sizeof values.at); }
INLINE floats multiply_add(floats a, floats b, floats c) {
    for (int i = 0; i < LANES; i++) c.at[i] += a.at[i] * b.at[i];
    return c;
}
INLINE float total(floats values) { return (values.at[0] + values.at[2]) + (values.at[1] + values.at[3]); }
INLINE float widen_one(int type, const void *from);
INLINE floats widen(int type, const void *from) {
    floats wide;
    for (int i = 0; i < LANES; i++) wide.at[i] = widen_one(type, (const char *)from + i * element_bytes(type));
    return wide;
}
#endif

#ifndef HAS_PAIRS
#define HAS_PAIRS 0
INLINE floats multiply_add_pairs(floats a, floats b, floats c) { return multiply_add(a, b, c); /* never called */ }
#endif

/* One element as float32. */
INLINE float widen_one(int type, const void *from) {
    float wide;
    if (type == FLOAT32) {
        memcpy(&wide, from, 4);
        return wide;
    }
    uint16_t short_;
    memcpy(&short_, from, 2);
    uint32_t bits = (uint32_t)short_ << 16;
    if (type == FLOAT16) {
        uint32_t exponent = (short_ >> 10) & 31, fraction = short_ & 1023;
        if (exponent == 0) return ((short_ >> 15) ? -1.0f : 1.0f) * (float)fraction * 0x1p-24f;
        bits = (uint32_t)(short_ >> 15) << 31 | (exponent == 31 ? 255u : exponent + 112) << 23 | fraction << 13;
    }
    memcpy(&wide, &bits, 4);
    return wide;
}

/* A row as float32. */
INLINE void widen_row(int type, const void *from, long count, float *to) {
    long whole = count / LANES * LANES;
    for (long i = 0; i < whole; i += LANES)
        store_floats(to + i, widen(type, (const char *)from + i * element_bytes(type)));
    for (long i = whole; i < count; i++) to[i] = widen_one(type, (const char *)from + i * element_bytes(type));
}

/* The nearest bfloat16, ties to even. */
INLINE uint16_t to_bfloat16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 64);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
