// A small log server for `npm run bench:log`: Tessera on POSIX files with its antispam, as its own example has it, but
// with the batch age as a flag, and it counts its answers itself.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	badger "github.com/transparency-dev/tessera/storage/posix/antispam"
	"golang.org/x/mod/sumdb/note"
)

var (
	folder     = flag.String("folder", "", "an empty folder for the log")
	batchAge   = flag.Duration("batch_age", time.Second, "how long an entry waits for others")
	batchSize  = flag.Uint("batch_size", 256, "entries of one batch at most")
	checkpoint = flag.Duration("checkpoint_interval", time.Second, "time between two checkpoints")
	await      = flag.Bool("await", false, "answer when a signed checkpoint covers the entry, not when it is in the tree")
	maxEntry   = int64(65_535)
)

// What was answered: indexes once each, however often they were given, and how many requests were turned away.
type counts struct {
	mu       sync.Mutex
	seen     map[uint64]struct{}
	answered uint64
	pushback uint64
	failed   uint64
}

func (c *counts) count(index uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.seen[index] = struct{}{}
		c.answered++
	case errors.Is(err, tessera.ErrPushback):
		c.pushback++
	default:
		c.failed++
	}
}

func (c *counts) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = json.NewEncoder(w).Encode(map[string]uint64{
		"unique": uint64(len(c.seen)), "answered": c.answered, "pushback": c.pushback, "failed": c.failed,
	})
}

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	secret, vkey, err := note.GenerateKey(rand.Reader, "tessera.beacon.local")
	check(err)
	signer, err := note.NewSigner(secret)
	check(err)
	driver, err := posix.New(ctx, posix.Config{Path: *folder})
	check(err)
	deduplication, err := badger.NewAntispam(ctx, filepath.Join(*folder, ".state", "antispam"), badger.AntispamOpts{})
	check(err)
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithCheckpointInterval(*checkpoint).
		WithBatching(*batchSize, *batchAge).
		WithAntispam(tessera.DefaultAntispamInMemorySize, deduplication))
	check(err)
	var published *tessera.PublicationAwaiter
	if *await {
		published = tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, time.Millisecond)
	}

	counted := &counts{seen: map[uint64]struct{}{}}
	http.Handle("GET /counts", counted)
	http.HandleFunc("POST /add", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEntry))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		future := appender.Add(r.Context(), tessera.NewEntry(body))
		var index tessera.Index
		if published != nil {
			index, _, err = published.Await(r.Context(), future)
		} else {
			index, err = future()
		}
		counted.count(index.Index, err)
		switch {
		case errors.Is(err, tessera.ErrPushback):
			// The hammer rests a second after this, as a polite client does.
			w.Header().Set("Retry-After", "1")
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		default:
			_, _ = fmt.Fprintf(w, "%d", index.Index)
		}
	})
	files := http.FileServer(http.Dir(*folder))
	http.Handle("GET /checkpoint", files)
	http.Handle("GET /tile/", files)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	fmt.Printf("{\"port\":%d,\"vkey\":%q}\n", listener.Addr().(*net.TCPAddr).Port, vkey)
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	ending, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = shutdown(ending)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
