/* How weights in 4-bit codes lie in memory. A code chooses one of the LEVELS of its group's table. */
#pragma once

#define LEVELS 16
#define TABLES 256
#define GROUP 128        /* columns of a row that share a table */
#define HALF (GROUP / 2) /* byte i of a group holds column i in its low four bits, column i + HALF in its high ones */
