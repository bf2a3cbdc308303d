// Google's in-memory Pub/Sub server, by itself: a counterpart for tests.
//
// It prints its address, and serves until its standard input ends, as it does with the process
// that holds it.
package main

import (
	"fmt"
	"io"
	"os"

	"cloud.google.com/go/pubsub/pstest"
)

func main() {
	server := pstest.NewServer()
	defer server.Close()
	fmt.Println(server.Addr)
	_, _ = io.Copy(io.Discard, os.Stdin)
}
