import { Duplex } from 'node:stream'

/** Two ends of a line in this process. `piece`: hands over at most this many bytes a read. */
export function line(piece = Infinity, change: (bytes: Buffer) => Buffer = (bytes) => bytes): [Duplex, Duplex] {
  const ends: [Duplex, Duplex] = [
    end(() => ends[1], piece, change),
    end(
      () => ends[0],
      piece,
      (bytes) => bytes,
    ),
  ]
  return ends
}

function end(other: () => Duplex, piece: number, change: (bytes: Buffer) => Buffer): Duplex {
  let free: (() => void) | undefined
  const duplex = new Duplex({
    read() {
      const waiting = free
      free = undefined
      waiting?.()
    },
    write(given: Buffer, _encoding, callback) {
      const bytes = change(given)
      const to = other()
      if (to.destroyed) return callback(new Error('the line is cut'))
      let isFree = true
      if (piece >= bytes.length) isFree = to.push(bytes)
      else for (let at = 0; at < bytes.length; at += piece) isFree = to.push(bytes.subarray(at, at + piece))
      if (isFree) setImmediate(callback)
      else wait(to, () => callback())
    },
    final(callback) {
      other().push(null)
      callback()
    },
    destroy(error, callback) {
      setImmediate(() => other().destroy())
      callback(error)
    },
  })
  Object.defineProperty(duplex, 'whenRead', { value: (callback: () => void) => void (free = callback) })
  return duplex
}

function wait(to: Duplex, callback: () => void): void {
  ;(to as Duplex & { whenRead(callback: () => void): void }).whenRead(callback)
}
