/** @file
 * Helpers that misbehave. A test program whose name begins with "fake-" is one: what follows says
 * how it behaves. (The client gives its helper neither arguments nor an environment.)
 */
#pragma once

/** Never returns when `program` names a fake; else returns at once. */
void fake_helper_main(const char *program);
