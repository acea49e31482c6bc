// A line echo by hand: a goroutine for each connection, flushed when nothing more is buffered.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
)

func main() {
	go func() {
		// Whoever measures it holds its input; when that is gone, so is this.
		bufio.NewReader(os.Stdin).ReadString(0)
		os.Exit(0)
	}()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("listening on tcp://%s\n", listener.Addr())
	for {
		connection, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go serve(connection)
	}
}

func serve(connection net.Conn) {
	defer connection.Close()
	in := bufio.NewReaderSize(connection, 65536)
	out := bufio.NewWriterSize(connection, 65536)
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		out.Write(line)
		if in.Buffered() == 0 {
			if out.Flush() != nil {
				return
			}
		}
	}
}
