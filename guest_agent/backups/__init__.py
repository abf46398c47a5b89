"""A backup's bytes on their way between an engine's tool and the object store.

    writer   bytes ─▶ zstd ─▶ parts of 16 MiB ─▶ AES-256-GCM ─▶ PUT, the manifest last
    reader   the manifest, then GET part by part ─▶ checked ─▶ opened ─▶ bytes

Memory is flat at any size: one part is on its way while the next one is made. Nothing here knows an
engine, a process or a socket, so that the simulator's guests use the same.
"""
