/** @file
 * HDF5's own driver for files on HTTP: three events of a file, read as one would. A peer of
 * tests/bench/run.sh; not part of the product.
 *
 *     peer_ros3 URL TYPE EVENT...      prints the seconds it took
 */
#include <hdf5.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef H5_HAVE_ROS3_VFD
static int read_events(const char *url, const char *type, char **events, int count)
{
    H5FD_ros3_fapl_t ros3 = {.version = H5FD_CURR_ROS3_FAPL_T_VERSION, .authenticate = 0};
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    hsize_t dims[4];

    if (H5Pset_fapl_ros3(access, &ros3) < 0) {
        return 1;
    }
    hid_t file = H5Fopen(url, H5F_ACC_RDONLY, access);
    hid_t dataset = H5Dopen2(file, type, H5P_DEFAULT), space = H5Dget_space(dataset);

    if (dataset < 0 || H5Sget_simple_extent_dims(space, dims, NULL) != 4) {
        return 1;
    }
    uint8_t *pixels = malloc(dims[1] * dims[2] * dims[3]);

    for (int i = 0; i < count; i++) {
        hsize_t start[4] = {strtoull(events[i], NULL, 10), 0, 0, 0};
        hsize_t size[4] = {1, dims[1], dims[2], dims[3]};
        hid_t memory = H5Screate_simple(4, size, NULL);

        H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, size, NULL);
        if (H5Dread(dataset, H5T_NATIVE_UINT8, memory, space, H5P_DEFAULT, pixels) < 0) {
            return 1;
        }
        H5Sclose(memory);
    }
    free(pixels);
    H5Dclose(dataset);
    H5Fclose(file);
    return 0;
}
#endif

int main(int argc, char **argv)
{
    struct timespec began, ended;

    clock_gettime(CLOCK_MONOTONIC, &began);
#ifdef H5_HAVE_ROS3_VFD
    if (argc < 4 || read_events(argv[1], argv[2], argv + 3, argc - 3) != 0) {
        return 1;
    }
#else
    (void)argc, (void)argv;
    return 1;
#endif
    clock_gettime(CLOCK_MONOTONIC, &ended);
    printf("%.6f\n",
           (double)(ended.tv_sec - began.tv_sec) + 1e-9 * (double)(ended.tv_nsec - began.tv_nsec));
    return 0;
}
