// A program, by the path on which programs are looked for.
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

export const found = (program) => {
  const is = (place) => {
    try {
      accessSync(place, constants.X_OK)
      return true
    } catch {
      return false
    }
  }
  return process.env.PATH.split(delimiter).map((folder) => join(folder, program)).find(is)
}
