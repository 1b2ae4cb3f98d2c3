#include "lib/store/file_root.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"

struct file_root *file_root_open(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct file_root *root = NULL;

    if (fd >= 0) {
        struct stat st = {0};

        fstat(fd, &st);
        root = mem_new(struct file_root);
        *root = (struct file_root){.fd = fd, .refs = 1};
        snprintf(root->place, sizeof(root->place), "%llx:%llx", (unsigned long long)st.st_dev,
                 (unsigned long long)st.st_ino);
    }
    return root;
}

struct file_root *file_root_ref(struct file_root *root)
{
    root->refs++;
    return root;
}

void file_root_unref(struct file_root *root)
{
    if (root != NULL && --root->refs == 0) {
        close(root->fd);
        free(root);
    }
}
