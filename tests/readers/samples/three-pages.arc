filedesc://x.arc 0.0.0.0 20080430204825 text/plain 76
1 0 InternetArchive
URL IP-address Archive-date Content-type Archive-length

https://a.example/ 192.0.2.1 20080430204825 text/html 400
HTTP/1.1 200 OK
Content-Type: text/html; charset=utf-8
Content-Length: 320

<p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p>
https://b.example/ 192.0.2.1 20080430204825 text/html 400
HTTP/1.1 200 OK
Content-Type: text/html; charset=utf-8
Content-Length: 320

<p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p><p>b</p>
https://c.example/ 192.0.2.1 20080430204825 text/html 400
HTTP/1.1 200 OK
Content-Type: text/html; charset=utf-8
Content-Length: 320

<p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p><p>c</p>
