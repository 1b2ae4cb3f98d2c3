/** @file
 * Where `sevird-h5probe` lies.
 *
 * Thread:     any.
 */
#pragma once

/** Beside this program, in the folders of the build tree or of the installation around it, else in
 * the libexec directory that the build was configured with. The path may name nothing: starting it
 * then says so. The caller frees. */
char *h5_program_find(void);
