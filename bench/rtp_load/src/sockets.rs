//! Connected UDP sockets and an epoll set; the only unsafe code of this tool.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

pub struct Endpoint {
    socket: UdpSocket,
    pub payload_type: u8,
}

impl Endpoint {
    pub fn parse(line: &str) -> Result<Self, String> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [local, address, port, payload_type] = fields[..] else {
            return Err("expected LOCAL_PORT REMOTE_ADDRESS REMOTE_PORT PAYLOAD_TYPE".into());
        };
        let address: IpAddr = address.parse().map_err(|e| format!("{address}: {e}"))?;
        if !address.is_loopback() {
            return Err(format!("{address} is not a loopback address"));
        }
        let number = |text: &str| text.parse::<u16>().map_err(|e| format!("{text}: {e}"));
        let socket =
            UdpSocket::bind(SocketAddr::new(address, number(local)?)).map_err(|e| e.to_string())?;
        socket
            .connect(SocketAddr::new(address, number(port)?))
            .map_err(|e| e.to_string())?;
        socket.set_nonblocking(true).map_err(|e| e.to_string())?;
        Ok(Self {
            socket,
            payload_type: number(payload_type)? as u8 & 0x7f,
        })
    }

    pub fn fd(&self) -> i32 {
        self.socket.as_raw_fd()
    }

    pub fn send(&self, packet: &[u8]) -> bool {
        self.socket.send(packet).is_ok()
    }
}

pub struct Poller(i32);

impl Poller {
    pub fn new(sockets: &[i32]) -> Result<Self, String> {
        // SAFETY: plain system calls on descriptors that outlive this poller (the sender owns them to the end).
        unsafe {
            let epoll = libc::epoll_create1(0);
            if epoll < 0 {
                return Err(std::io::Error::last_os_error().to_string());
            }
            for &fd in sockets {
                let mut event = libc::epoll_event {
                    events: libc::EPOLLIN as u32,
                    u64: fd as u64,
                };
                if libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &mut event) < 0 {
                    return Err(std::io::Error::last_os_error().to_string());
                }
            }
            Ok(Self(epoll))
        }
    }

    pub fn wait(&self, timeout_ms: i32, mut ready: impl FnMut(i32)) {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 256];
        // SAFETY: `events` is a valid buffer of 256 entries; the kernel fills the first `count` of them.
        let count = unsafe { libc::epoll_wait(self.0, events.as_mut_ptr(), 256, timeout_ms) };
        for event in &events[..count.max(0) as usize] {
            ready(event.u64 as i32);
        }
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        // SAFETY: this is the only owner of the epoll descriptor.
        unsafe { libc::close(self.0) };
    }
}

pub fn drain(fd: i32, mut packet: impl FnMut(&[u8])) {
    let mut buffer = [0u8; 2048];
    loop {
        // SAFETY: `buffer` is writable for its whole length; the socket does not block.
        let length = unsafe {
            libc::recv(
                fd,
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                libc::MSG_DONTWAIT,
            )
        };
        if length <= 0 {
            return;
        }
        packet(&buffer[..length as usize]);
    }
}
