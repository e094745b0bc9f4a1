/* SPDX-License-Identifier: MIT */
/* The smallest program that uses the installed library. */
#include <deq/version.h>
#include <stdio.h>
int main(void)
{
    return puts(deq_version()) == EOF;
}
