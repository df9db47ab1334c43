//! Who is at the other end of a Unix socket, as the kernel recorded it.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};

use bowline_transport::PeerIdentity;

/// Who is at the other end of a connected Unix socket (`SO_PEERCRED`): the effective user and group
/// and the process that called `connect`, or `listen` at the other side, at that time. They stay what
/// they were when the socket is handed to another process or the peer executes another program.
///
/// # Errors
/// If the system does not know. Then the peer is nobody: do not take it for anybody.
pub fn peer_identity(socket: impl AsFd) -> io::Result<PeerIdentity> {
    let ucred = peercred(socket)?;
    // What the kernel fills in where nobody is connected.
    if ucred.uid == u32::MAX || ucred.gid == u32::MAX {
        return Err(io::Error::new(io::ErrorKind::NotConnected, "the peer has no credentials"));
    }
    let peer = PeerIdentity::new("unix").with_uid(ucred.uid).with_gid(ucred.gid);
    // Zero is a process that has no id in this process's namespace.
    Ok(match u32::try_from(ucred.pid) {
        Ok(pid) if pid != 0 => peer.with_pid(pid),
        _ => peer,
    })
}

/// `rustix` has this, too, but its process id cannot be zero, as the kernel's can.
fn peercred(socket: impl AsFd) -> io::Result<libc::ucred> {
    let mut ucred = MaybeUninit::<libc::ucred>::zeroed();
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: The descriptor is open while it is borrowed; `ucred` has room for `length` bytes, and
    // both pointers live through the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            ucred.as_mut_ptr().cast(),
            &mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    if length as usize != size_of::<libc::ucred>() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "credentials of unknown size"));
    }
    // SAFETY: It began as zeroes and the kernel wrote over them; any bytes make a valid `ucred`.
    Ok(unsafe { ucred.assume_init() })
}
