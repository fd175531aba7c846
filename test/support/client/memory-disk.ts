import type { Disk } from '../../../runtime/disk.js'

/** A disk that forgets everything with the process. */
export function memoryDisk(): Disk {
  const files = new Map<string, Uint8Array>()
  return {
    append: async (file, bytes) => {
      files.set(file, new Uint8Array([...(files.get(file) ?? []), ...bytes]))
    },
    sync: async () => {},
    read: async (file) => files.get(file),
    write: async (file, bytes) => void files.set(file, bytes.slice()),
    remove: async (file) => void files.delete(file),
    list: async (prefix) => [...files.keys()].filter((file) => file.startsWith(prefix)).sort(),
  }
}
