-- Whether an app has devices of FCM or APNs that messages are encrypted to: asked for each message, whose size that limits.
create index registration_keys on push.registration (app_id, network, host) where p256dh is not null and network <> 'webpush';
