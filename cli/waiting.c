/* SPDX-License-Identifier: MIT */
/*
 * How threads wait.  GNU's OpenMP lets a thread that waits spin for milliseconds before it sleeps.  On a
 * machine that others use too, a thread that spins holds the core that the awaited one needs: training
 * steps of 40 ms took 400 ms to 5 s (two cores, load 6).  Threads that never spin pay with an idle
 * machine.  Some thousand turns, a few microseconds, cost neither.
 *
 * The runtime reads its environment before main(); so the program sets it and starts itself again.
 */
#define _XOPEN_SOURCE 700
#include "waiting.h"

#include <stdlib.h>
#include <unistd.h>

#define SPIN "GOMP_SPINCOUNT"
#define TURNS "3000"

void wait_briefly(char **argv)
{
    /* Whoever set one of these knows better; and the second time all is done. */
    if (getenv(SPIN) || getenv("OMP_WAIT_POLICY")) return;
    if (setenv(SPIN, TURNS, 1) != 0) return;
    execv("/proc/self/exe", argv); /* where there is no such file, things are as they were */
}
