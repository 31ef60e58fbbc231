/* Products with 4-bit weights: a weight is a code for one of 16 8-bit integers, which its group's table gives.

   A table lies in a register, and turns BYTES codes into BYTES 8-bit weights at once. From there on it is the way of
   8-bit weights: exact sums, so that a row's result depends on that row alone, and is the same on every machine. */
#include "codes.h"
#include "tiles.h"

#define PACKED_ROWS 4       /* activations that a tile of codes serves at once */
#define FEW_ROWS (BYTES > 16 ? 32 : 0) /* so few rows are served faster by unpacking in registers, if they are wide */
#define CHUNK 4096          /* columns unpacked at a time for more rows */
#define STRIDE (CHUNK + 64) /* between unpacked rows: powers of two would share their places in the cache */

typedef struct {
    const uint8_t *codes;  /* (rows, groups, HALF) */
    const uint8_t *tables; /* (rows, groups): the number of each group's table */
    const int8_t *levels;  /* (TABLES, LEVELS) */
    const int8_t *offset;  /* the same, each with OFFSET added */
    long groups;
} matrix;

INLINE float weight_at(const void *weights, long row, long column) {
    const matrix *of = weights;
    long group = row * of->groups + column / GROUP, place = column % GROUP;
    int pair = of->codes[group * HALF + place % HALF];
    return (float)of->levels[of->tables[group] * LEVELS + (place < HALF ? pair & 15 : pair >> 4)];
}

/* Sums of WEIGHT_ROWS x rows products over all columns: into (rows, BLOCK_ROWS). */
INLINE void packed_tile(int rows, const matrix *weights, long row, const int8_t *values, long width, int32_t *into) {
    sums found[PACKED_ROWS][WEIGHT_ROWS];
#pragma GCC unroll 4
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 4
        for (int n = 0; n < WEIGHT_ROWS; n++) found[m][n] = no_sums();
    long groups = weights->groups;
    const uint8_t *tables = weights->tables + row * groups;
    const int8_t *codes = (const int8_t *)weights->codes + row * groups * HALF;
    for (long g = 0; g < groups; g++)
#pragma GCC unroll 4
        for (int i = 0; i < HALF; i += BYTES) {
            bytes low[WEIGHT_ROWS], high[WEIGHT_ROWS];
#pragma GCC unroll 4
            for (int n = 0; n < WEIGHT_ROWS; n++) {
                bytes table = load_table(weights->offset + tables[n * groups + g] * LEVELS);
                bytes pairs = load_bytes(codes + (n * groups + g) * HALF + i);
                low[n] = look_up(table, low_nibbles(pairs));
                high[n] = look_up(table, high_nibbles(pairs));
                /* The next tile's: so much is done with each byte that it would come too late by itself. */
                __builtin_prefetch(codes + ((n + WEIGHT_ROWS) * groups + g) * HALF + i, 0, 3);
            }
#pragma GCC unroll 4
            for (int m = 0; m < rows; m++) {
                bytes activation = load_bytes(values + m * width + g * GROUP + i);
#pragma GCC unroll 4
                for (int n = 0; n < WEIGHT_ROWS; n++) found[m][n] = dot(found[m][n], low[n], activation);
            }
#pragma GCC unroll 4
            for (int m = 0; m < rows; m++) {
                bytes activation = load_bytes(values + m * width + g * GROUP + i + HALF);
#pragma GCC unroll 4
                for (int n = 0; n < WEIGHT_ROWS; n++) found[m][n] = dot(found[m][n], high[n], activation);
            }
        }
#pragma GCC unroll 4
    for (int m = 0; m < rows; m++)
        total_four(found[m][0], found[m][1], found[m][2], found[m][3], into + m * BLOCK_ROWS);
}

/* Whole tiles of weight rows with all activations, few of them. */
static void packed_sums(const matrix *weights, long row, long weight_rows, const activations *x, int32_t *into) {
    long tiles = (x->rows + PACKED_ROWS - 1) / PACKED_ROWS;
    for (long n = 0; n < weight_rows; n += WEIGHT_ROWS)
        for (long t = 0; t < tiles; t++) {
            long first = x->rows * t / tiles, count = x->rows * (t + 1) / tiles - first;
            const int8_t *values = x->values + first * x->stride;
            int32_t *to = into + first * BLOCK_ROWS + n;
            switch (count) {
            case 1: packed_tile(1, weights, row + n, values, x->stride, to); break;
            case 2: packed_tile(2, weights, row + n, values, x->stride, to); break;
            case 3: packed_tile(3, weights, row + n, values, x->stride, to); break;
            default: packed_tile(4, weights, row + n, values, x->stride, to); break;
            }
        }
}

/* 8-bit weights (rows, STRIDE) of some groups of each row. */
static void unpack(const matrix *from, long row, long rows, long group, long groups, int8_t *to) {
    for (long n = 0; n < rows; n++)
        for (long g = 0; g < groups; g++) {
            long at = (row + n) * from->groups + group + g;
            const int8_t *codes = (const int8_t *)from->codes + at * HALF;
            bytes table = load_table(from->levels + from->tables[at] * LEVELS);
            int8_t *weights = to + n * STRIDE + g * GROUP;
#pragma GCC unroll 4
            for (int i = 0; i < HALF; i += BYTES) {
                bytes pairs = load_bytes(codes + i);
                store_bytes(weights + i, look_up(table, low_nibbles(pairs)));
                store_bytes(weights + i + HALF, look_up(table, high_nibbles(pairs)));
            }
        }
}

/* Any number of weight rows up to BLOCK_ROWS with all activations, by way of `unpacked` (BLOCK_ROWS, STRIDE). */
static void unpacked_sums(const matrix *weights, long row, long weight_rows, const activations *x, int8_t *unpacked,
                          int32_t *into) {
    long tiles = (x->rows + MOST_ROWS - 1) / MOST_ROWS;
    for (long k = 0; weight_rows > 0 && k < x->width; k += CHUNK) {
        long width = x->width - k < CHUNK ? x->width - k : CHUNK;
        unpack(weights, row, weight_rows, k / GROUP, width / GROUP, unpacked);
        for (long t = 0; t < tiles; t++) {
            long first = x->rows * t / tiles, count = x->rows * (t + 1) / tiles - first;
            for (long n = 0; n < weight_rows; n += WEIGHT_ROWS)
                some_tile((int)count, unpacked + n * STRIDE, STRIDE, x->values + first * x->stride + k, x->stride,
                          width, into + first * BLOCK_ROWS + n, k == 0, (ahead){0, 0});
        }
    }
}

/* to (rows, weight_rows) = from (rows, columns) x W^T + bias, where W = table[code] * scales / 127 row by row.

   `type` is that of from, bias and to: FLOAT32 or BFLOAT16. Returns 0, or 1 where memory is short. */
int int4_linear(int type, const void *from, long rows, long columns, const uint8_t *codes, const uint8_t *tables,
                const int8_t *levels, const float *scales, const void *bias, long weight_rows, void *to, int threads) {
    int8_t offset[TABLES * LEVELS];
    for (int i = 0; i < TABLES * LEVELS; i++) offset[i] = (int8_t)(levels[i] + OFFSET);
    matrix all = {codes, tables, levels, offset, (columns + GROUP - 1) / GROUP};
    activations x;
    int failed = quantise_rows(type, from, rows, columns, all.groups * GROUP, &x, threads);
    if (!failed) {
#pragma omp parallel num_threads(threads) reduction(| : failed)
        {
            int32_t *into = malloc((size_t)(rows * BLOCK_ROWS) * sizeof(int32_t));
            int8_t *unpacked = calloc(BLOCK_ROWS, STRIDE);
            failed = !into || !unpacked;
#pragma omp for schedule(dynamic)
            for (long n = 0; n < weight_rows; n += BLOCK_ROWS) {
                long count = weight_rows - n < BLOCK_ROWS ? weight_rows - n : BLOCK_ROWS;
                long whole = rows <= FEW_ROWS ? count / WEIGHT_ROWS * WEIGHT_ROWS : 0;
                if (failed) continue;
                if (FEW_ROWS) packed_sums(&all, n, whole, &x, into);
                unpacked_sums(&all, n + whole, count - whole, &x, unpacked, into + whole);
                finish(into, weight_at, &all, scales, bias, type, count, &x, to, weight_rows, n);
            }
            free(into), free(unpacked);
        }
    }
    forget(&x);
    return failed;
}
