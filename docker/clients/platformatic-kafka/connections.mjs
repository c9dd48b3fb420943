/**
 * The connections of one client: bytes in and out, and those that fail.
 *
 * The client tells of each connection that it opens and closes, those of its streams included, and
 * each shows its socket, which counts its own bytes.
 */
export class Connections {
  #open = new Set();
  #gone = { received: 0, sent: 0 };

  /**
   * @param native a client
   * @param {(address: string) => void} onFailed called when a broker cannot be reached; not for the
   *   tries that follow, until one succeeds
   */
  constructor(native, onFailed) {
    const failing = new Set();
    native.on("client:broker:connect", ({ broker, connection }) => {
      this.#open.add(connection.socket);
      failing.delete(`${broker.host}:${broker.port}`);
    });
    native.on("client:broker:disconnect", ({ connection }) => this.#close(connection.socket));
    native.on("client:broker:failed", ({ broker }) => {
      const address = `${broker.host}:${broker.port}`;
      if (!failing.has(address)) {
        failing.add(address);
        onFailed(address);
      }
    });
  }

  received() {
    return this.#sum("bytesRead", this.#gone.received);
  }

  sent() {
    return this.#sum("bytesWritten", this.#gone.sent);
  }

  #sum(name, before) {
    return [...this.#open].reduce((sum, socket) => sum + socket[name], before);
  }

  #close(socket) {
    if (this.#open.delete(socket)) {
      this.#gone.received += socket.bytesRead;
      this.#gone.sent += socket.bytesWritten;
    }
  }
}
