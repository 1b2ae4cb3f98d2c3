/** @file
 * The grammar is Python's configparser (RawConfigParser, strict) and what botocore's configloader
 * makes of it. The text is cut up where it lies: what a parser copies it would have to wipe.
 */
#include "lib/aws/profile.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

#define BLANKS " \t\r\f\v"
#define DEFAULTS "DEFAULT" /* speaks for all sections of its file that do not speak themselves */

struct option {
    const char *block; /**< The key that the value is nested in; NULL: none. */
    const char *key, *value;
    bool is_block; /**< Only the head of one: its value is in those that follow. */
};

struct section {
    char *header;     /**< A copy, as it stands between its brackets. */
    const char *kind; /**< "profile", "services"; "" for all others. */
    const char *name;
    unsigned first, count;
};

struct file {
    char *text;
    size_t len;
    struct section *sections;
    struct option *options;
    unsigned section_count, option_count;
};

struct profile_files {
    struct file files[PROFILE_SOURCES];
};

struct profile_files *profile_files_new(void)
{
    return mem_new(struct profile_files);
}

void profile_files_free(struct profile_files *files)
{
    if (files == NULL) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(files->files); i++) {
        struct file *file = &files->files[i];

        if (file->text != NULL) {
            OPENSSL_cleanse(file->text, file->len);
        }
        for (unsigned k = 0; k < file->section_count; k++) {
            free(file->sections[k].header);
        }
        free(file->text);
        free(file->sections);
        free(file->options);
    }
    free(files);
}

/* Words */

/** From behind the opening quotation; answers its end, NULL if there is none. */
static char *take_quoted(char *at, char quote, char **put)
{
    for (; *at != '\0' && *at != quote; at++) {
        if (quote == '"' && *at == '\\' && (at[1] == '"' || at[1] == '\\')) {
            at++;
        }
        *(*put)++ = *at;
    }
    return *at == quote ? at + 1 : NULL;
}

/** One word up to the blank behind it; answers where that is, NULL when something has no end. */
static char *take_word(char *at, char **put)
{
    while (at != NULL && *at != '\0' && strchr(BLANKS "\n", *at) == NULL) {
        if (*at == '"' || *at == '\'') {
            at = take_quoted(at + 1, *at, put);
        } else if (*at == '\\' && at[1] == '\0') {
            return NULL;
        } else {
            at += *at == '\\' ? 1 : 0;
            *(*put)++ = *at++;
        }
    }
    return at;
}

enum rc profile_split(char *text, char *ret_words[PROFILE_WORDS_MAX + 1], unsigned *ret_count,
                      struct err *err)
{
    unsigned count = 0;

    for (char *at = text + strspn(text, BLANKS "\n"); *at != '\0';) {
        char *word = at, *put = at;

        at = take_word(at, &put);
        if (at == NULL) {
            return err_set(err, RC_INVALID, "a quotation or an escape has no end");
        }
        if (count == PROFILE_WORDS_MAX) {
            return err_set(err, RC_INVALID, "more than %d words", PROFILE_WORDS_MAX);
        }
        at += strspn(at, BLANKS "\n");
        *put = '\0'; /* before `at`, but at the end of the text, where there is an end already */
        ret_words[count++] = word;
    }
    ret_words[count] = NULL;
    *ret_count = count;
    return RC_OK;
}

/* Sections and options */

struct reader {
    struct file *file;
    const char *path;
    unsigned line;
    bool credentials;
    size_t indent;   /**< Of the line that the next may continue. */
    bool in_option;  /**< The last option's value is still growing. */
    char *value_end; /**< Of that value, without the NUL it gets when it is whole. */
};

static enum rc refuse(const struct reader *reader, const char *why, struct err *err)
{
    return err_set(err, RC_INVALID, "'%s' line %u: %s", reader->path, reader->line, why);
}

static struct section *last_section(const struct file *file)
{
    return file->section_count > 0 ? &file->sections[file->section_count - 1] : NULL;
}

static char *trim(char *text)
{
    char *end;

    text += strspn(text, BLANKS "\n");
    end = text + strlen(text);
    while (end > text && strchr(BLANKS "\n", end[-1]) != NULL) {
        end--;
    }
    *end = '\0';
    return text;
}

static struct option *add_option(struct file *file, const char *block, const char *key,
                                 const char *value)
{
    struct option *added;

    file->options = mem_resize(file->options, file->option_count + 1, sizeof(*file->options));
    added = &file->options[file->option_count++];
    *added = (struct option){.block = block, .key = key, .value = value};
    last_section(file)->count++;
    return added;
}

/** Cut the lines of a block into options of their own. */
static enum rc cut_block(struct reader *reader, const char *block, char *lines, struct err *err)
{
    char *next;

    for (char *line = lines; line != NULL; line = next) {
        char *value;

        next = strchr(line, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
        line = trim(line);
        value = strchr(line, '=');
        if (value != NULL) {
            *value++ = '\0';
            add_option(reader->file, block, trim(line), trim(value));
        } else if (*line != '\0') {
            return refuse(reader, "the block that ends before it holds a line without '='", err);
        }
    }
    return RC_OK;
}

/** The value that was growing is whole now. */
static enum rc end_value(struct reader *reader, struct err *err)
{
    struct option *option;
    char *value;

    if (!reader->in_option) {
        return RC_OK;
    }
    reader->in_option = false;
    *reader->value_end = '\0';
    option = &reader->file->options[reader->file->option_count - 1];
    value = (char *)option->value;
    while (reader->value_end > value && strchr(BLANKS "\n", reader->value_end[-1]) != NULL) {
        *--reader->value_end = '\0';
    }
    if (*value != '\n') {
        return RC_OK;
    }
    option->is_block = true;
    return cut_block(reader, option->key, value, err);
}

static bool has_header(const struct file *file, const char *header)
{
    for (unsigned i = 0; i < file->section_count; i++) {
        if (strcmp(file->sections[i].header, header) == 0) {
            return true;
        }
    }
    return false;
}

/** "profile x" and "services x" say what they are; in the credentials file every name is one. */
static void name_section(const struct reader *reader, char *header, struct section *ret)
{
    static const char *const kinds[] = {"profile", "services"};
    char *words[PROFILE_WORDS_MAX + 1];
    unsigned count;
    struct err err;

    *ret = (struct section){.header = str_dup(header), .kind = "", .name = header};
    if (strcmp(header, DEFAULTS) != 0 && (reader->credentials || strcmp(header, "default") == 0)) {
        ret->kind = "profile";
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (str_starts(header, kinds[i])) {
            const bool two = profile_split(header, words, &count, &err) == RC_OK && count == 2;

            ret->kind = two ? kinds[i] : "";
            ret->name = two ? words[1] : header;
            return;
        }
    }
}

static enum rc begin_section(struct reader *reader, char *header, struct err *err)
{
    struct file *file = reader->file;
    struct section section;

    if (has_header(file, header)) {
        return refuse(reader, "a section that was there before", err);
    }
    name_section(reader, header, &section);
    section.first = file->option_count;
    file->sections = mem_resize(file->sections, file->section_count + 1, sizeof(*file->sections));
    file->sections[file->section_count++] = section;
    return RC_OK;
}

static bool has_key(const struct file *file, const struct section *section, const char *key)
{
    for (unsigned i = 0; i < section->count; i++) {
        const struct option *option = &file->options[section->first + i];

        if (option->block == NULL && strcmp(option->key, key) == 0) {
            return true;
        }
    }
    return false;
}

/** `line` is trimmed and ends with NUL. */
static enum rc begin_option(struct reader *reader, char *line, struct err *err)
{
    char *value = strpbrk(line, "=:"), *key = line;

    if (last_section(reader->file) == NULL) {
        return refuse(reader, "stands before any [section]", err);
    }
    if (value == NULL || value == line) {
        return refuse(reader, "is neither [section] nor 'key = value'", err);
    }
    *value++ = '\0';
    key = trim(key);
    for (char *c = key; *c != '\0'; c++) {
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
    }
    if (has_key(reader->file, last_section(reader->file), key)) {
        return refuse(reader, "a key that was there before", err);
    }
    value = trim(value);
    add_option(reader->file, NULL, key, value);
    reader->in_option = true;
    reader->value_end = value + strlen(value);
    return RC_OK;
}

/** The end of a header, as the expression "\[(.+)\]" finds it: the last bracket in the line. */
static char *header_end(char *line)
{
    char *end = *line == '[' ? strrchr(line, ']') : NULL;

    return end != NULL && end > line + 1 ? end : NULL;
}

/** `line` ends with NUL in place of its newline. */
static enum rc read_line(struct reader *reader, char *line, struct err *err)
{
    const size_t indent = strspn(line, BLANKS);
    char *text = trim(line), *end;

    if (*text == '#' || *text == ';') {
        return RC_OK;
    }
    if (*text == '\0') {
        if (reader->in_option) { /* part of a value that goes on behind it */
            *reader->value_end++ = '\n';
        }
        return RC_OK;
    }
    if (reader->in_option && indent > reader->indent) {
        const size_t len = strlen(text);

        *reader->value_end++ = '\n';
        memmove(reader->value_end, text, len);
        reader->value_end += len;
        return RC_OK;
    }
    if (end_value(reader, err) != RC_OK) {
        return err->rc;
    }
    reader->indent = indent;
    end = header_end(text);
    if (end != NULL) {
        *end = '\0';
        return begin_section(reader, text + 1, err);
    }
    return begin_option(reader, text, err);
}

static enum rc check_text(const char *path, const char *text, size_t len, struct err *err)
{
    if (memchr(text, '\0', len) != NULL || !str_is_utf8(text, len)) {
        return err_set(err, RC_INVALID, "'%s' is no text in UTF-8", path);
    }
    return RC_OK;
}

enum rc profile_parse(struct profile_files *files, enum profile_source source, const char *path,
                      char *text, size_t len, struct err *err)
{
    struct file *file = &files->files[source];
    struct reader reader = {
        .file = file, .path = path, .credentials = source == PROFILE_CREDENTIALS};
    char *next;

    file->text = text;
    file->len = len;
    if (check_text(path, text, len, err) != RC_OK) {
        return err->rc;
    }
    for (char *line = text; line != NULL; line = next) {
        next = strpbrk(line, "\r\n");
        if (next != NULL) {
            next += *next == '\r' && next[1] == '\n' ? 1 : 0;
            *next++ = '\0';
        }
        reader.line++;
        if (read_line(&reader, line, err) != RC_OK) {
            return err->rc;
        }
    }
    return end_value(&reader, err);
}

/* Answers */

/** Of two that come to the same name, "[default]" and "[profile default]", the last is the one. */
static const struct section *find_section(const struct file *file, const char *kind,
                                          const char *name)
{
    for (unsigned i = file->section_count; i-- > 0;) {
        if (strcmp(file->sections[i].name, name) == 0 &&
            strcmp(file->sections[i].kind, kind) == 0) {
            return &file->sections[i];
        }
    }
    return NULL;
}

/** In a block the last of a key counts. */
static const char *find_option(const struct file *file, const struct section *section,
                               const char *block, const char *key)
{
    for (unsigned i = section != NULL ? section->count : 0; i-- > 0;) {
        const struct option *option = &file->options[section->first + i];
        const bool both = option->block != NULL && block != NULL;

        if ((both ? strcmp(option->block, block) == 0 : option->block == block) &&
            !option->is_block && strcmp(option->key, key) == 0) {
            return option->value;
        }
    }
    return NULL;
}

static const char *find_value(const struct file *file, const char *kind, const char *name,
                              const char *block, const char *key)
{
    const struct section *section = find_section(file, kind, name);
    const char *value = find_option(file, section, block, key);

    /* A block stands or falls whole. */
    if (section != NULL && value == NULL && (block == NULL || !has_key(file, section, block))) {
        value = find_option(file, find_section(file, "", DEFAULTS), block, key);
    }
    return value;
}

bool profile_exists(const struct profile_files *files, const char *profile)
{
    return find_section(&files->files[PROFILE_CONFIG], "profile", profile) != NULL ||
           find_section(&files->files[PROFILE_CREDENTIALS], "profile", profile) != NULL;
}

const char *profile_get_from(const struct profile_files *files, enum profile_source source,
                             const char *profile, const char *key)
{
    return find_value(&files->files[source], "profile", profile, NULL, key);
}

const char *profile_get(const struct profile_files *files, const char *profile, const char *key)
{
    const char *value = profile_get_from(files, PROFILE_CREDENTIALS, profile, key);

    return value != NULL ? value : profile_get_from(files, PROFILE_CONFIG, profile, key);
}

const char *profile_get_nested(const struct profile_files *files, const char *profile,
                               const char *block, const char *key)
{
    const char *value =
        find_value(&files->files[PROFILE_CREDENTIALS], "profile", profile, block, key);

    return value != NULL
               ? value
               : find_value(&files->files[PROFILE_CONFIG], "profile", profile, block, key);
}

const char *profile_get_service(const struct profile_files *files, const char *services,
                                const char *block, const char *key)
{
    return find_value(&files->files[PROFILE_CONFIG], "services", services, block, key);
}
