// One-time codes as an authenticator app makes them (RFC 6238: SHA-1, six digits, thirty seconds), at a time that is given.
import { createHmac } from 'node:crypto'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

const decode = (base32) => {
  const bits = Array.from(base32, (c) => ALPHABET.indexOf(c).toString(2).padStart(5, '0')).join('')
  return Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)))
}

// The step of a time, in milliseconds since 1970.
export const stepOf = (now) => Math.floor(now / 30_000)

// The code of a step, for a key as the page shows it.
export const codeOf = (key, step) => {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(step))
  const digest = createHmac('sha1', decode(key.replaceAll(/[^A-Z2-7]/gi, '').toUpperCase())).update(counter).digest()
  const at = digest.at(-1) & 15
  return String((digest.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0')
}
