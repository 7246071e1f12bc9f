/* POSIX threads, in C: one thread for each client, as `threaded` has, without an interpreter. A whole server that shares nothing with ours.
 *
 *     cc -O2 -pthread -o posix_threads implementations/posix_threads.c
 *
 * - Who accepts: a thread of its own, which starts one for each client while there is a place.
 * - Who decides to switch: the kernel, at any instruction, on as many cores as there are.
 * - Where it can wait: each thread for itself, in recv() and send().
 * - What pushes back on a slow reader: send() blocks its thread, so nothing more is read.
 * - What ends a connection: `quit`, end of input, an error, or silence that outlasts the idle timeout.
 * - What ends the server: a stop ends the input of all clients and of the listener; then every place is awaited.
 *
 * Numbers in brackets are clauses of PROTOCOL.md.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    LONGEST_LINE = 4096,                 /* its ending not counted [2.4] */
    RECEIVE_BYTES = 16 * 1024,
    SEND_BUFFER_BYTES = 256 * 1024,
    UNSENT_BYTES = 16 * 1024,            /* a slow reader is seen to be alive [6.3] */
    LINGER_BYTES = 1024 * 1024,          /* [4.1] */
    STACK_BYTES = 128 * 1024,
    RESERVED_FILES = 24,
    BACKLOG = 1024,
    TICKS = 8,                           /* the kernel wakes a thread so many times in one idle timeout */
};
static const double LINGER_S = 1.0, SAME_STOP_S = 0.5, GRACE_USED = 0.8, RETRY_S = 0.1, DELIVERY_CHECK_S = 0.01;
static const char GREETING[] = "<welcome: starting in sum mode>\n", TO_SUM[] = "<switching to sum mode>\r\n",
                  TO_PRODUCT[] = "<switching to product mode>\r\n", GOODBYE[] = "connection closed\r\n",
                  ERROR[] = "ERROR. Enter only integers separated by commas\n";

static struct {
    const char *host, *port;
    long max_clients;
    double idle_timeout_s, grace_s;
    bool verbose;
} options = {"127.0.0.1", "8080", 1000, 300, 5, false};

/* ---- What is said [5]: a line, or nothing where it cannot be written at once. */

static void say(const char *form, ...) {
    char line[512];
    va_list given;
    va_start(given, form);
    int length = vsnprintf(line, sizeof line - 1, form, given);
    va_end(given);
    length = length < (int)sizeof line - 2 ? length : (int)sizeof line - 2;
    line[length] = '\n';
    struct pollfd error_output = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&error_output, 1, 0) > 0 && write(STDERR_FILENO, line, length + 1) < 0) { /* it is lost [5.7] */ }
}

#define fail(code, ...) (say(__VA_ARGS__), exit(code))

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static struct timespec timespec_of(double seconds) {
    return (struct timespec){(time_t)seconds, (long)(1e9 * (seconds - (time_t)seconds))};
}

static void rest(double seconds) {
    struct timespec time = timespec_of(seconds);
    nanosleep(&time, NULL);
}

/* ---- Integers of any size that fits a line [3.4]: sign and magnitude, nine digits in a limb, the lowest first. */

enum { DIGITS = 9, BASE = 1000000000, LIMBS = LONGEST_LINE / DIGITS + 4 };

struct integer {
    bool negative;
    int size;
    uint32_t limbs[LIMBS];
};

static void trim(struct integer *a) {
    while (a->size && !a->limbs[a->size - 1]) a->size--;
}

static void read_integer(struct integer *a, const char *digits, int count, bool negative) {
    a->negative = negative;
    a->size = 0;
    for (int end = count; end > 0; end -= DIGITS) {
        uint32_t limb = 0;
        for (int at = end > DIGITS ? end - DIGITS : 0; at < end; at++) limb = limb * 10 + (digits[at] - '0');
        a->limbs[a->size++] = limb;
    }
    trim(a);
}

static int compare_magnitudes(const struct integer *a, const struct integer *b) {
    if (a->size != b->size) return a->size < b->size ? -1 : 1;
    for (int at = a->size - 1; at >= 0; at--)
        if (a->limbs[at] != b->limbs[at]) return a->limbs[at] < b->limbs[at] ? -1 : 1;
    return 0;
}

/* a += sign * b for magnitudes; for a sign of -1, a must be the larger one */
static void combine(struct integer *a, const struct integer *b, int sign) {
    int64_t carry = 0;
    for (int at = 0; at < b->size || carry; at++) {
        int64_t limb = carry + (at < a->size ? a->limbs[at] : 0) + (at < b->size ? sign * (int64_t)b->limbs[at] : 0);
        carry = limb < 0 ? -1 : limb / BASE;
        a->limbs[at] = limb - carry * BASE;
        if (at >= a->size) a->size = at + 1;
    }
    trim(a);
}

static void add(struct integer *total, const struct integer *b) {
    if (total->negative == b->negative) {
        combine(total, b, 1);
    } else if (compare_magnitudes(total, b) >= 0) {
        combine(total, b, -1);
    } else {
        struct integer larger = *b;
        combine(&larger, total, -1);
        *total = larger;
    }
}

static void multiply(struct integer *total, const struct integer *b) {
    struct integer product = {.negative = total->negative != b->negative, .size = total->size + b->size};
    for (int i = 0; i < total->size; i++) {
        uint64_t carry = 0;
        for (int j = 0; j < b->size || carry; j++) {
            carry += product.limbs[i + j] + (j < b->size ? (uint64_t)total->limbs[i] * b->limbs[j] : 0);
            product.limbs[i + j] = carry % BASE;
            carry /= BASE;
        }
    }
    *total = product;
    trim(total);
}

static int write_integer(char *text, const struct integer *a) {
    if (!a->size) return sprintf(text, "0");
    int length = sprintf(text, "%s%u", a->negative ? "-" : "", a->limbs[a->size - 1]);
    for (int at = a->size - 2; at >= 0; at--) length += sprintf(text + length, "%09u", a->limbs[at]);
    return length;
}

/* ---- The protocol: bytes in, bytes out. */

struct replies {
    char *bytes;
    size_t length, room;
    bool lost; /* there was no memory for all of them */
};

struct conversation {
    bool product_mode, closed, discarding;
    long lines_completed;
    size_t unfinished_bytes;
    char unfinished[LONGEST_LINE + 1];
    struct replies replies;
};

static void reply(struct conversation *with, const char *bytes, size_t count) {
    struct replies *to = &with->replies;
    if (to->length + count > to->room) {
        size_t room = 2 * (to->length + count);
        char *moved = realloc(to->bytes, room);
        if (!moved) {
            to->lost = true;
            return;
        }
        to->bytes = moved;
        to->room = room;
    }
    memcpy(to->bytes + to->length, bytes, count);
    to->length += count;
}

static bool is_blank(char byte) { return byte == ' ' || byte == '\t'; }
static bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }

/* Work a list out; false if it is none [3.2]. */
static bool calculate(const char *line, size_t length, bool product_mode, struct integer *total) {
    for (size_t at = 0, items = 0;; items++, at++) {
        while (at < length && is_blank(line[at])) at++;
        bool negative = at < length && line[at] == '-';
        if (at < length && (line[at] == '-' || line[at] == '+')) at++;
        size_t start = at;
        while (at < length && is_digit(line[at])) at++;
        if (at == start) return false;
        struct integer item;
        read_integer(&item, line + start, at - start, negative);
        if (!items) *total = item;
        else if (product_mode) multiply(total, &item);
        else add(total, &item);
        while (at < length && is_blank(line[at])) at++;
        if (at == length) return true;
        if (line[at] != ',') return false;
    }
}

static void answer(struct conversation *with, const char *line, size_t length) {
    if (options.verbose) say("a client sent %.*s", (int)(length < 400 ? length : 400), line);
    if (length && line[length - 1] == '\r') length--;
    struct integer total;
    if (length > LONGEST_LINE) {
        reply(with, ERROR, sizeof ERROR - 1);
        return;
    }
    if (calculate(line, length, with->product_mode, &total)) {
        char text[LONGEST_LINE + 64];
        int said = sprintf(text, "%s of input numbers: '", with->product_mode ? "Product" : "Sum");
        said += write_integer(text + said, &total);
        reply(with, text, said + sprintf(text + said, "'\r\n"));
        return;
    }
    while (length && is_blank(line[length - 1])) length--;
    if (length == 3 && !memcmp(line, "sum", 3)) {
        with->product_mode = false;
        reply(with, TO_SUM, sizeof TO_SUM - 1);
    } else if (length == 7 && !memcmp(line, "product", 7)) {
        with->product_mode = true;
        reply(with, TO_PRODUCT, sizeof TO_PRODUCT - 1);
    } else if (length == 4 && !memcmp(line, "quit", 4)) {
        with->closed = true;
        reply(with, GOODBYE, sizeof GOODBYE - 1);
    } else {
        reply(with, ERROR, sizeof ERROR - 1);
    }
}

static void keep(struct conversation *with, const char *bytes, size_t count) {
    memcpy(with->unfinished + with->unfinished_bytes, bytes, count);
    with->unfinished_bytes += count;
}

/* Take the end of a line in, without its LF. */
static void complete(struct conversation *with, const char *bytes, size_t count) {
    with->lines_completed++;
    if (with->discarding) {
        with->discarding = false;
    } else if (with->unfinished_bytes + count > sizeof with->unfinished) {
        reply(with, ERROR, sizeof ERROR - 1);
    } else {
        keep(with, bytes, count);
        answer(with, with->unfinished, with->unfinished_bytes);
    }
    with->unfinished_bytes = 0;
}

/* Take in what may be the beginning of a line; once it is certain to be too long, it is thrown away as it comes [2.5]. */
static void begin(struct conversation *with, const char *bytes, size_t count) {
    if (with->discarding || !count) return;
    if (with->unfinished_bytes + count > LONGEST_LINE + (size_t)(bytes[count - 1] == '\r')) {
        reply(with, ERROR, sizeof ERROR - 1);
        with->discarding = true;
        with->unfinished_bytes = 0;
    } else {
        keep(with, bytes, count);
    }
}

static void receive(struct conversation *with, const char *data, size_t count) {
    if (!count) {
        if (with->unfinished_bytes) answer(with, with->unfinished, with->unfinished_bytes); /* [2.6] */
        with->closed = true;
    }
    for (const char *end; count && !with->closed;) {
        end = memchr(data, '\n', count);
        if (!end) {
            begin(with, data, count);
            break;
        }
        complete(with, data, end - data);
        count -= end + 1 - data;
        data = end + 1;
    }
}

/* ---- One client. If it resets, vanishes or falls silent, that harms nobody else. */

static atomic_bool stopping;
static sem_t places;
static pthread_mutex_t clients_lock = PTHREAD_MUTEX_INITIALIZER;
static bool *is_served; /* by descriptor */
static long descriptors;

static void end_input(int socket) { shutdown(socket, SHUT_RD); }

static void serve_from_now_on(int client, bool served) {
    pthread_mutex_lock(&clients_lock);
    is_served[client] = served;
    if (served && stopping) end_input(client);
    pthread_mutex_unlock(&clients_lock);
}

static bool send_all(int client, const char *bytes, size_t count) {
    for (int silent_ticks = 0; count;) {
        ssize_t taken = send(client, bytes, count, MSG_NOSIGNAL);
        if (taken > 0) {
            bytes += taken;
            count -= taken;
            silent_ticks = 0;
        } else if (errno != EINTR && (errno != EAGAIN || ++silent_ticks == TICKS)) {
            return false; /* [6.3] */
        }
    }
    return true;
}

/* Wait for input, but not past the deadline, however often single bytes come; -1 if none came [6.2]. */
static ssize_t receive_until(int client, char *data, double deadline) {
    while (now() < deadline) {
        ssize_t count = recv(client, data, RECEIVE_BYTES, 0);
        if (count >= 0 || (errno != EAGAIN && errno != EINTR)) return count;
    }
    return -1;
}

/* Converse to the end; false if the client is not to be waited for any longer. */
static bool converse(int client, struct conversation *with) {
    char data[RECEIVE_BYTES];
    if (!send_all(client, GREETING, sizeof GREETING - 1)) return false;
    for (double deadline = now() + options.idle_timeout_s; !with->closed;) {
        ssize_t count = receive_until(client, data, deadline);
        if (count < 0) return false;
        if (!count && stopping) break; /* half of a line is no line [7.3] */
        long lines_before = with->lines_completed;
        with->replies.length = 0;
        receive(with, data, count);
        if (with->replies.lost || !send_all(client, with->replies.bytes, with->replies.length)) return false;
        if (with->lines_completed > lines_before) deadline = now() + options.idle_timeout_s;
    }
    return true;
}

/* What the client's kernel has not acknowledged; none if it never will. */
static int undelivered_bytes(int client) {
    struct tcp_info info;
    socklen_t size = sizeof info;
    int count = 0;
    if (getsockopt(client, IPPROTO_TCP, TCP_INFO, &info, &size) || info.tcpi_state == TCP_CLOSE) return 0;
    return ioctl(client, TIOCOUTQ, &count) ? 0 : count;
}

/* Close in such a way that the last replies arrive, even if there is input that nobody will read [4.1]. */
static void hang_up(int client) {
    char data[RECEIVE_BYTES];
    while (stopping && undelivered_bytes(client)) rest(DELIVERY_CHECK_S); /* as long as the grace lasts [7.3] */
    shutdown(client, SHUT_WR);
    long to_discard = LINGER_BYTES;
    struct pollfd input = {.fd = client, .events = POLLIN};
    for (double left, deadline = now() + LINGER_S; to_discard > 0 && (left = deadline - now()) > 0;) {
        if (poll(&input, 1, 1 + (int)(1000 * left)) <= 0) continue;
        ssize_t count = recv(client, data, sizeof data, MSG_DONTWAIT);
        if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) break;
        to_discard -= count > 0 ? count : 0;
    }
}

static void wake_on_silence(int client) {
    double tick_s = isinf(options.idle_timeout_s) ? 0 : options.idle_timeout_s / TICKS;
    struct timeval tick = {(time_t)tick_s, (suseconds_t)(1e6 * (tick_s - (time_t)tick_s))};
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof tick);
    setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &tick, sizeof tick);
}

static void *occupy_place(void *argument) {
    int client = (int)(intptr_t)argument;
    struct conversation *with = calloc(1, sizeof *with);
    if (with) {
        if (options.verbose) say("a client came");
        wake_on_silence(client);
        serve_from_now_on(client, true);
        bool in_good_order = converse(client, with);
        serve_from_now_on(client, false);
        if (options.verbose) say("a client left");
        if (in_good_order) hang_up(client);
        free(with->replies.bytes);
        free(with);
    }
    close(client);
    sem_post(&places);
    return NULL;
}

/* ---- All clients. */

static bool start_thread(void *(*work)(void *), void *argument) {
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    return !pthread_create(&thread, &attributes, work, argument);
}

static void wait_for_place(void) {
    while (sem_wait(&places)) { /* only a signal interrupts it */ }
}

static bool is_one_clients(int error) {
    static const int errors[] = {EAGAIN, ECONNABORTED, EPROTO, EPERM, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH, EINTR};
    for (size_t at = 0; at < sizeof errors / sizeof *errors; at++)
        if (errors[at] == error) return true;
    return false;
}

static void *serve(void *argument) {
    int listener = (int)(intptr_t)argument;
    for (;;) {
        wait_for_place();
        int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0) {
            int error = errno;
            sem_post(&places);
            if (stopping) break;
            if (!is_one_clients(error)) rest(RETRY_S); /* [6.7, 6.9] */
            continue;
        }
        while (!start_thread(occupy_place, (void *)(intptr_t)client)) rest(RETRY_S); /* others give theirs back */
    }
    for (long left = options.max_clients; left; left--) wait_for_place();
    _exit(0);
}

static void stop(int listener) {
    stopping = true;
    end_input(listener);
    pthread_mutex_lock(&clients_lock);
    for (int client = 0; client < descriptors; client++)
        if (is_served[client]) end_input(client);
    pthread_mutex_unlock(&clients_lock);
}

static void stop_on_signal(int listener, const sigset_t *signals) {
    int number;
    while (sigwait(signals, &number)) { /* nothing else ends it */ }
    double told_at = now(), grace_over = told_at + options.grace_s * GRACE_USED;
    stop(listener);
    for (double left; (left = grace_over - now()) > 0;) {
        struct timespec time = timespec_of(left);
        int again = sigtimedwait(signals, NULL, &time);
        if (again > 0 && now() >= told_at + SAME_STOP_S) { /* [7.5] */
            pthread_sigmask(SIG_UNBLOCK, signals, NULL);
            raise(again);
            _exit(128 + again);
        }
    }
    _exit(0);
}

/* ---- The process [5]. */

static void fill_standard_streams(void) {
    for (int descriptor = 0; descriptor < 3; descriptor++)
        if (fcntl(descriptor, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0) exit(1);
}

static double number(const char *name, const char *text, double low, double high) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= low && value <= high))
        fail(2, "--%s takes a number from %g to %g, not %s", name, low, high, text);
    return value;
}

static void read_options(int count, char **words) {
    static const struct option known[] = {
        {"host", required_argument, 0, 'h'}, {"port", required_argument, 0, 'p'}, {"max-clients", required_argument, 0, 'm'},
        {"idle-timeout", required_argument, 0, 'i'}, {"grace", required_argument, 0, 'g'}, {"verbose", no_argument, 0, 'v'}, {0},
    };
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    for (int option; (option = getopt_long(count, words, "", known, NULL)) != -1;) {
        if (option == 'h') options.host = optarg;
        else if (option == 'p') number("port", options.port = optarg, 0, 65535);
        else if (option == 'm') options.max_clients = number("max-clients", optarg, 1, (double)files.rlim_max - RESERVED_FILES);
        else if (option == 'i') options.idle_timeout_s = number("idle-timeout", optarg, 0, 1e6);
        else if (option == 'g') options.grace_s = number("grace", optarg, 0, 1e6);
        else if (option == 'v') options.verbose = true;
        else exit(2);
    }
    if (optind < count) fail(2, "there is nothing to be done with %s", words[optind]);
    if (!options.idle_timeout_s) options.idle_timeout_s = INFINITY;
    rlim_t needed = options.max_clients + RESERVED_FILES;
    if (files.rlim_cur < needed) files.rlim_cur = needed;
    setrlimit(RLIMIT_NOFILE, &files);
    descriptors = files.rlim_cur;
}

static int open_listener(void) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
    int error = getaddrinfo(options.host, options.port, &hints, &found);
    if (error) fail(1, "cannot listen on %s %s: %s", options.host, options.port, gai_strerror(error));
    int listener = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1, buffer = SEND_BUFFER_BYTES, unsent = UNSENT_BYTES;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    setsockopt(listener, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    setsockopt(listener, SOL_SOCKET, SO_OOBINLINE, &yes, sizeof yes); /* urgent data is data [2.3] */
    setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(listener, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
    if (bind(listener, found->ai_addr, found->ai_addrlen) || listen(listener, BACKLOG))
        fail(1, "cannot listen on %s %s: %s", options.host, options.port, strerror(errno));
    freeaddrinfo(found);
    return listener;
}

static void tell_that_it_is_up(int listener) {
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    getsockname(listener, (struct sockaddr *)&address, &size);
    getnameinfo((struct sockaddr *)&address, size, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    if (dprintf(STDOUT_FILENO, "Server up, running, and waiting for call on %s %s\n", host, port) < 0)
        fail(1, "cannot write to standard output: %s", strerror(errno));
}

int main(int count, char **words) {
    fill_standard_streams();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, SIG_DFL); /* who starts it may have them ignored */
    signal(SIGINT, SIG_DFL);
    read_options(count, words);
    int listener = open_listener();
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* in all threads: none is lost */
    is_served = calloc(descriptors, sizeof *is_served);
    sem_init(&places, 0, options.max_clients);
    if (!is_served || !start_thread(serve, (void *)(intptr_t)listener)) fail(1, "cannot start: no thread or memory is to be had");
    tell_that_it_is_up(listener);
    stop_on_signal(listener, &signals);
}
