/* Products with float weights for a few rows: each weight is read once, each row's sums have an order of their own. */
#include <stdlib.h>
#include "vectors.h"

#define WEIGHT_ROWS 4
#define BLOCK_ROWS 16     /* weight rows that a thread takes at a time */

enum { PAIRS = 3 };       /* a type of weights beside those of vectors.h: bfloat16, and so are the activations */

INLINE int value_type(int type) { return type == PAIRS ? BFLOAT16 : FLOAT32; }
INLINE floats load_weights(int type, const void *from) { return type == PAIRS ? load_floats(from) : widen(type, from); }
INLINE floats add_products(int type, floats a, floats b, floats c) {
    return type == PAIRS ? multiply_add_pairs(a, b, c) : multiply_add(a, b, c);
}

/* WEIGHT_ROWS x rows results: each the lanes' sums from the first column on, then the columns that fill no vector. */
INLINE void tile(int rows, int type, const char *weights, long columns, const char *values,
                 float (*into)[WEIGHT_ROWS]) {
    floats found[MOST_ROWS][WEIGHT_ROWS];
    long weight_bytes = element_bytes(type), value_bytes = element_bytes(value_type(type));
    long step = LANES * (4 / value_bytes), whole = columns / step * step;
#pragma GCC unroll 6
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 4
        for (int n = 0; n < WEIGHT_ROWS; n++) found[m][n] = no_floats();
    for (long k = 0; k < whole; k += step) {
        floats part[WEIGHT_ROWS];
#pragma GCC unroll 4
        for (int n = 0; n < WEIGHT_ROWS; n++)
            part[n] = load_weights(type, weights + (n * columns + k) * weight_bytes);
#pragma GCC unroll 6
        for (int m = 0; m < rows; m++) {
            floats value = load_floats((const void *)(values + (m * columns + k) * value_bytes));
            LOAD_ONCE(value);
#pragma GCC unroll 4
            for (int n = 0; n < WEIGHT_ROWS; n++) found[m][n] = add_products(type, part[n], value, found[m][n]);
        }
    }
#pragma GCC unroll 6
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 4
        for (int n = 0; n < WEIGHT_ROWS; n++) {
            float sum = total(found[m][n]);
            for (long k = whole; k < columns; k++)
                sum += widen_one(type, weights + (n * columns + k) * weight_bytes) *
                       widen_one(value_type(type), values + (m * columns + k) * value_bytes);
            into[m][n] = sum;
        }
}

INLINE void some_tile(int rows, int type, const char *weights, long columns, const char *values,
                      float (*into)[WEIGHT_ROWS]) {
#define TILE(count) tile(count < MOST_ROWS ? count : MOST_ROWS, type, weights, columns, values, into)
    switch (rows) {
    case 1: TILE(1); break;
    case 2: TILE(2); break;
    case 3: TILE(3); break;
    case 4: TILE(4); break;
    case 5: TILE(5); break;
    default: TILE(6); break;
    }
#undef TILE
}

static void typed_tile(int rows, int type, const char *weights, long columns, const char *values,
                       float (*into)[WEIGHT_ROWS]) {
    if (HAS_PAIRS && type == PAIRS) some_tile(rows, PAIRS, weights, columns, values, into);
    else if (type == BFLOAT16) some_tile(rows, BFLOAT16, weights, columns, values, into);
    else if (type == FLOAT16) some_tile(rows, FLOAT16, weights, columns, values, into);
    else some_tile(rows, FLOAT32, weights, columns, values, into);
}

/* A block of weight rows from `first` to `end`, WEIGHT_ROWS at a time; the last ones may be computed twice. */
static void block(int type, const char *weights, long first, long end, const char *values, long rows, long columns,
                  const void *bias, float *to, long weight_rows) {
    long row_bytes = columns * element_bytes(value_type(type));
    float found[MOST_ROWS][WEIGHT_ROWS];
    for (long at = first; at < end; at += WEIGHT_ROWS) {
        long n = at + WEIGHT_ROWS <= weight_rows ? at : weight_rows - WEIGHT_ROWS;
        long passes = (rows + MOST_ROWS - 1) / MOST_ROWS;
        for (long t = 0; t < passes; t++) {
            long m = rows * t / passes;
            int count = (int)(rows * (t + 1) / passes - m);
            const char *row = weights + n * columns * element_bytes(type);
            typed_tile(count, type, row, columns, values + m * row_bytes, found);
            for (int i = 0; i < count; i++)
                for (long j = at - n; j < WEIGHT_ROWS; j++) {
                    float value = found[i][j];
                    if (bias) value += widen_one(type, (const char *)bias + (n + j) * element_bytes(type));
                    to[(m + i) * weight_rows + n + j] = value;
                }
        }
    }
}

/* to (rows, weight_rows) = from (rows, columns) x weights (weight_rows, columns)^T + bias; at least 4 weight rows.

   `weight_type` is also the bias'. Returns 0, or 1 where memory is short. */
int row_linear(int from_type, const void *from, long rows, long columns, int weight_type, const void *weights,
               const void *bias, long weight_rows, float *to, int threads) {
    int type = HAS_PAIRS && from_type == BFLOAT16 && weight_type == BFLOAT16 ? PAIRS : weight_type;
    float *wide = type == PAIRS ? NULL : malloc((size_t)(rows * columns) * sizeof(float));
    if (type != PAIRS && !wide) return 1;
    if (wide) widen_row(from_type, from, rows * columns, wide);
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (long n = 0; n < weight_rows; n += BLOCK_ROWS) {
        long end = n + BLOCK_ROWS < weight_rows ? n + BLOCK_ROWS : weight_rows;
        block(type, weights, n, end, wide ? (const char *)wide : from, rows, columns, bias, to, weight_rows);
    }
    free(wide);
    return 0;
}

/* Reads memory once, as fast as it comes; gives a sum so that nothing is left out. */
float read_all(const float *from, long count, int threads) {
    float sum = 0;
    long part = 1 << 18;
#pragma omp parallel for schedule(dynamic) num_threads(threads) reduction(+ : sum)
    for (long at = 0; at < count / part * part; at += part) {
        floats some[8];
        for (int i = 0; i < 8; i++) some[i] = no_floats();
        for (long k = at; k < at + part; k += 8 * LANES)
#pragma GCC unroll 8
            for (int i = 0; i < 8; i++)
                some[i] = multiply_add(load_floats(from + k + i * LANES), all_floats(1.0f), some[i]);
        for (int i = 0; i < 8; i++) sum += total(some[i]);
    }
    return sum;
}
