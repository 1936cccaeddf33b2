// Aver is the server behind Aver's documented API: key and secret for a token, and the token for everything else.
//
//	aver -snapshot keys.kwd -keyring keyring.toml -certificate certificate.pem -key key.pem
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	keyward "github.com/keyward/keyward/bindings/go"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8443", "the address to listen at")
	snapshot := flag.String("snapshot", "keys.kwd", "the snapshot, which is followed")
	keyring := flag.String("keyring", "keyring.toml", "the keyring")
	certificate := flag.String("certificate", "certificate.pem", "the server's certificate")
	key := flag.String("key", "key.pem", "the certificate's private key")
	flag.Parse()

	if err := serve(*listen, *snapshot, *keyring, *certificate, *key); err != nil {
		log.Fatal(err)
	}
}

func serve(listen, snapshot, keyring, certificate, key string) error {
	engine, err := keyward.Open(snapshot, keyring, nil)
	if err != nil {
		return err
	}
	defer engine.Close()
	if err := engine.CheckRealm(realm); err != nil {
		return err
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go engine.Watch(ctx, 100*time.Millisecond, func(changed bool, err error) {
		if err != nil {
			log.Printf("the last good generation goes on: %v", err)
		} else if info, err := engine.Info(); err == nil {
			log.Printf("generation %d, %d keys", info.Generation, info.Keys)
		}
	})

	server := &http.Server{Addr: listen, Handler: newAPI(engine), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Shutdown(context.Background())
	}()
	log.Printf("https://%s", listen)
	if err := server.ListenAndServeTLS(certificate, key); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
